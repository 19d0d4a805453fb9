"""What the description of a data set must satisfy beyond its types: roles, rules, label and clock."""

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator

from workbench.config import ColumnConfig, DataConfig, VersionsConfig
from workbench.features import reserved

COLUMN_TYPES = ("integer", "number", "money", "string", "timestamp")
NUMERIC = ("integer", "number", "money")
RULES = {  # which types a rule of the contract is for
    "minimum": NUMERIC,
    "maximum": NUMERIC,
    "categories": ("string",),
    "unique": ("integer", "money", "string", "timestamp"),
    "ordered": (*NUMERIC, "timestamp"),
}
ROLES = {  # which types a column in this role may have
    "id": ("integer", "string"),
    "event_time": ("timestamp",),
    "known_time": ("timestamp",),
    "entities": ("integer", "string"),
}


def faults(data: DataConfig) -> Iterator[str]:
    """What is wrong with the description of a data set, one sentence each."""
    if not data.columns:
        yield "data.columns is empty. Declare the columns of the data set: see conf/data/file.yaml."
    for name, column in data.columns.items():
        yield from column_faults(f"data.columns.{name}", column)
    for role, types in ROLES.items():
        names = getattr(data, role)
        for name in names if isinstance(names, list) else [names]:
            if name is not None:
                yield from role_faults(f"data.{role}", name, types, data.columns)
    yield from _name_faults(data)
    if data.versions is not None:
        yield from _versions_faults(data, data.versions)
    if data.source.kind == "file":
        yield from _file_faults(data)


def column_faults(where: str, column: ColumnConfig) -> Iterator[str]:
    """What is wrong with the description of one column."""
    if column.type not in COLUMN_TYPES:
        yield f"{where}.type={column.type} is unknown. Use one of: {', '.join(COLUMN_TYPES)}."
    for rule, types in RULES.items():
        value = getattr(column, rule)
        if value is not None and value is not False and column.type not in types:
            yield f"{where}.{rule} is for {', '.join(types)}; this column is of type {column.type}. Remove it."
    for rule in ("minimum", "maximum"):
        bound = getattr(column, rule)
        if bound is not None and not math.isfinite(bound):
            yield f"{where}.{rule}={bound} is no finite number. Leave it out where there is no bound."
    if not 0 <= column.decimals <= 6:
        yield f"{where}.decimals={column.decimals} must be from 0 to 6."


def role_faults(
    key: str, name: str, types: tuple[str, ...], columns: dict[str, ColumnConfig], declared: str = "data.columns"
) -> Iterator[str]:
    """What is wrong with the column that a role names; `declared` is the key under which columns are declared."""
    if name not in columns:
        yield f"{key}={name} names no column. Add it to {declared} or correct the name."
    elif columns[name].type not in types:
        yield f"{key}={name} is of type {columns[name].type}. Use a column of type {' or '.join(types)}."
    elif columns[name].nulls:
        yield f"{declared}.{name}.nulls=true, but {key} needs a value in every row. Remove it."


def _name_faults(data: DataConfig) -> Iterator[str]:
    """Columns with names that later steps give to columns of their own."""
    kept = [("id", data.id), ("event_time", data.event_time), *(("entities", name) for name in data.entities)]
    for role, name in kept:
        if name in reserved.ADDED:
            yield (
                f"data.{role}={name} is a name of the feature snapshot's own columns ({', '.join(reserved.ADDED)})."
                f" Declare it as {name}_value, with source: {name} where the file calls it so."
            )
    if data.known_time is None and "known_time" in data.columns and data.event_time != "known_time":
        yield (
            "data.columns.known_time would be taken for the known time, but data.known_time=null says that the source"
            " has none. Set data.known_time=known_time, or rename the column."
        )


def _versions_faults(data: DataConfig, versions: VersionsConfig) -> Iterator[str]:
    if data.known_time is None:
        yield "data.versions needs data.known_time: it says from when on a version is known. Name its column."
    if data.numbered:
        yield "data.versions needs an id in the file, and data.numbered=true makes a new one for every row. Remove one."
    if data.id in data.columns and data.columns[data.id].unique:
        yield f"data.columns.{data.id}.unique=true, but data.versions lets an id come again. Remove one of them."
    if (versions.operation is None) != (versions.deleted is None):
        yield "data.versions: operation and deleted belong together. Say both, or none where nothing is ever deleted."
    if versions.operation is not None:
        columns = {name: dataclasses.replace(column, nulls=False) for name, column in data.columns.items()}
        yield from role_faults("data.versions.operation", versions.operation, ("integer", "string"), columns)
        if versions.operation in (data.id, data.known_time, data.event_time, *data.entities):
            yield f"data.versions.operation={versions.operation} has another role already. Use a column of its own."


def _file_faults(data: DataConfig) -> Iterator[str]:
    if not data.source.path:
        yield "data.source.path is not set. Say data.source.path=FILE (a file or folder, local or s3://)."
    if data.label.column and data.label.positive is None:
        yield "data.label.positive is not set. Say which value of the label's column means 1."
    if data.label.column in [column.source or name for name, column in data.columns.items()]:
        yield f"data.label.column={data.label.column} is also in data.columns: the model would see it. Remove it there."
    if data.numbered and data.columns.get(data.id, ColumnConfig("integer")).type != "integer":
        yield f"data.numbered=true makes row numbers, so data.columns.{data.id}.type must be integer."
    if data.clock and not _is_time(data.clock.start):
        yield f"data.clock.start={data.clock.start} is no time. Use the form 2016-01-01T00:00:00Z."
    if data.clock and not data.clock.step_s > 0:
        yield f"data.clock.step_s={data.clock.step_s} must be greater than 0."


def _is_time(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
