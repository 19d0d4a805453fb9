"""Lookups: how a slow dimension is joined, and what may be wrong with its definition. Its rows are in `tables.py`."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, TableConfig
from workbench.data import declaration
from workbench.features.kinds import KINDS

CLOCKS = ("valid_from", "valid_until", "known_time")


@dataclass(frozen=True)
class Dimension:
    """A table's name, key and clocks: what a model must know of it. Its rows are a snapshot of their own."""

    name: str
    key: tuple[str, ...]  # the key: columns of the same names in events and table
    valid_from: str
    valid_until: str | None = None
    known_time: str | None = None

    @classmethod
    def of(cls, name: str, table: TableConfig) -> "Dimension":
        """The table as a config describes it."""
        return cls(name, tuple(table.key), table.valid_from, table.valid_until, table.known_time)

    @property
    def roles(self) -> list[str]:
        """Its columns that are key or clock."""
        return [*self.key, *(name for name in (self.valid_from, self.valid_until, self.known_time) if name)]


def keys(name: str, columns: Iterable[str]) -> set[str]:
    """Columns of a table as dotted config keys."""
    return {f"features.tables.{name}.columns.{column}" for column in columns}


def declared(tables: Mapping[str, TableConfig]) -> set[str]:
    """Every column of every table as its dotted config key."""
    return set().union(*(keys(name, table.columns) for name, table in tables.items()))


def broken(features: FeaturesConfig, data: DataConfig) -> Iterator[str]:
    """Everything that is wrong with the tables."""
    used = {feature.table for view in features.views for feature in view.features}
    for name, table in features.tables.items():
        where = f"features.tables.{name}"
        if name not in used:
            yield f"{where} is used by no feature. Look it up, or leave it out."
        for one, column in table.columns.items():
            yield from declaration.column_faults(f"{where}.columns.{one}", column)
        yield from _key_faults(where, table, data)
        yield from _clock_faults(where, table)


def feature_faults(feature: FeatureConfig, tables: Mapping[str, TableConfig], data: DataConfig) -> Iterator[str]:
    """What is wrong with a feature of kind lookup, without its own name."""
    if feature.table is None or feature.table not in tables:
        yield f".table={feature.table} is none of features.tables. Use one of: {', '.join(tables) or 'none'}."
        return
    columns, types = tables[feature.table].columns, KINDS["lookup"].column
    if feature.column not in columns:
        yield f".column={feature.column} is no column of {feature.table}. Use one of: {', '.join(columns)}."
        return
    column = columns[feature.column]
    if column.type not in types:
        yield f".column={feature.column} is of type {column.type}; lookup takes {' or '.join(types)}."
    elif column.type == "string" and not column.categories:
        where = f"features.tables.{feature.table}.columns.{feature.column}"
        yield f".column={feature.column} has no categories. Declare {where}.categories."
    if feature.column in data.entities:
        yield f".column={feature.column} is an entity: its value can be no feature. Use another column."


def _key_faults(where: str, table: TableConfig, data: DataConfig) -> Iterator[str]:
    if not table.key:
        yield f"{where}.key is empty. Name the columns of the events that say which rows are meant."
    if len(set(table.key)) < len(table.key):
        yield f"{where}.key={table.key} names a column twice. Name each once."
    for name in dict.fromkeys(table.key):
        types = declaration.ROLES["entities"]
        yield from declaration.role_faults(f"{where}.key", name, types, table.columns, f"{where}.columns")
        if name not in data.columns:
            yield f"{where}.key={name} names no column of the data. Use some of: {', '.join(data.columns)}."
        elif name in table.columns and (found := table.columns[name].type) != data.columns[name].type:
            yield f"{where}.columns.{name}.type={found}, but data.columns.{name} is {data.columns[name].type}."


def _clock_faults(where: str, table: TableConfig) -> Iterator[str]:
    for role in CLOCKS:
        if (name := getattr(table, role)) is None:
            continue
        columns = table.columns
        if role == "valid_until" and name in columns:  # a null is for ever
            columns = {**columns, name: _without_nulls(columns[name])}
        yield from declaration.role_faults(f"{where}.{role}", name, ("timestamp",), columns, f"{where}.columns")


def _without_nulls(column: ColumnConfig) -> ColumnConfig:
    return dataclasses.replace(column, nulls=False)
