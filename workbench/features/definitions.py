"""Feature definitions as data: what `conf/features/*.yaml` says, checked, in the order of the model's inputs."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from workbench import digest
from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.errors import ConfigError, raise_all
from workbench.features import rules, sequence_rules, where
from workbench.features.functions import Function
from workbench.features.kinds import PREVIOUS, WINDOWED
from workbench.features.lookups import Dimension, keys
from workbench.features.where import Condition, Where

DAY_US = 86_400_000_000
ELAPSED = "elapsed"  # what a sequence shows beside features: the seconds since the event
UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY_US}


class Window(NamedTuple):
    """A row at t sees what happened in (t - delay - length, t - delay]; `current_row`: itself as well."""

    length_us: int
    delay_us: int
    current_row: bool

    @property
    def reach_us(self) -> int:
        """How far back it looks."""
        return self.delay_us + self.length_us


@dataclass(frozen=True)
class Feature:
    """One input of a model: a value of the row, or an aggregate over an entity's window."""

    name: str
    kind: str
    column: str | None = None  # of the events; lookup: of its table
    entity: tuple[str, ...] = ()  # the columns that name it; none: a feature of the row alone
    window_us: int = 0
    delay_us: int = 0
    current_row: bool = False
    where: Where = ()
    empty: float = 0.0  # the value where there is nothing
    nulls_count: bool = False  # whether a null of the column counts as 0; else it is left out
    last_hour: int = 6
    categories: tuple[str, ...] = ()  # ordinal, lookup: all of them; one_hot: the one
    zone: str = "UTC"
    holidays: tuple[str, ...] = ()  # ISO dates in the zone
    table: str | None = None  # lookup: where its column is
    function: Function | None = None  # function: what computes it
    base: str | None = None  # previous: the feature that is shown; none: the seconds since then
    back: int = 0  # previous: of which earlier event; 1 is the newest

    @property
    def window(self) -> Window:
        """What an aggregate looks at."""
        return Window(self.window_us, self.delay_us, self.current_row)

    @property
    def windowed(self) -> bool:
        """Whether it looks back on an entity's events."""
        return self.kind in WINDOWED


class Sequence(NamedTuple):
    """The newest earlier events of an entity in a window, and what of them is shown."""

    entity: tuple[str, ...]
    window: Window
    events: int
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class FeatureSet:
    """All inputs of a model and the roles of the columns that they are made from."""

    features: tuple[Feature, ...]
    id: str
    event_time: str
    known_time: str
    version: int = 1
    tables: tuple[Dimension, ...] = ()  # the slow dimensions that are looked up

    @classmethod
    def of(cls, features: FeaturesConfig, data: DataConfig) -> "FeatureSet":
        """The definitions of a config; raises `ConfigError` with every fault."""
        raise_all(ConfigError, "The feature definitions are wrong:", faults(features, data))
        tables = tuple(Dimension.of(name, table) for name, table in features.tables.items())
        roles = (data.id, data.event_time, known_time_column(data))
        return cls(tuple(_expanded(features, data)), *roles, features.version, tables)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FeatureSet":
        """The definitions as `to_json` wrote them."""
        tables = tuple(Dimension(**{**one, "key": tuple(one["key"])}) for one in value["tables"])
        return cls(**{**value, "features": tuple(map(_feature, value["features"])), "tables": tables})

    def to_json(self) -> dict[str, Any]:
        """The definitions as plain JSON, for a bundle's `features.json`."""
        said = dataclasses.asdict(self)
        for feature in said["features"]:
            if (
                feature["base"] is None and not feature["back"]
            ):  # sets without a sequence keep the names they always had
                del feature["base"], feature["back"]
        return said

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in the order of the model's inputs."""
        return tuple(feature.name for feature in self.features)

    @property
    def zeros(self) -> list[float]:
        """A vector of no event, to warm a scorer with."""
        return [0.0] * len(self.features)

    @cached_property
    def digest(self) -> str:
        """The name of this very set of definitions: the feature view version."""
        return digest.digest(self.to_json())

    @cached_property
    def entities(self) -> tuple[tuple[str, ...], ...]:
        """The entities, each by its columns and once, in the order of their first use."""
        return tuple(dict.fromkeys(feature.entity for feature in self.features if feature.entity))

    @property
    def entity_columns(self) -> tuple[str, ...]:
        """The columns that name entities, each once."""
        return tuple(dict.fromkeys(column for entity in self.entities for column in entity))

    @cached_property
    def horizon_us(self) -> int:
        """How far back any feature looks: the longest delay plus window; a sequence looks that far from its events."""
        alone = [one.delay_us + one.window_us for one in self.features if one.kind != PREVIOUS]
        return max(alone, default=0) + (self.sequence.window.reach_us if self.sequence else 0)

    @cached_property
    def sequence(self) -> Sequence | None:
        """The sequence of the set; None where it has none."""
        features = tuple(feature for feature in self.features if feature.kind == PREVIOUS)
        if not features:
            return None
        return Sequence(features[0].entity, features[0].window, max(one.back for one in features), features)

    @cached_property
    def memory_us(self) -> int:
        """How far back events are remembered: an event that is late by the horizon looks back that far once more."""
        return 2 * self.horizon_us

    @cached_property
    def columns(self) -> set[str]:
        """The columns that an event must have."""
        of_features = {feature.column for feature in self.features if feature.column and not feature.table}
        of_features |= {name for table in self.tables for name in table.key}
        of_features |= {name for one in self.features if one.function for name, _ in one.function.columns}
        compared = {condition.column for feature in self.features for condition in feature.where}
        return {self.id, self.event_time, *self.entity_columns, *of_features, *compared}

    @property
    def looked_up(self) -> set[str]:
        """The columns that the tables must have, as config keys."""
        roles = set().union(*(keys(table.name, table.roles) for table in self.tables))
        return roles.union(*(keys(one.table, [str(one.column)]) for one in self.features if one.table))

    def of_entity(self, entity: tuple[str, ...]) -> tuple[Feature, ...]:
        """The aggregates of one entity."""
        return tuple(one for one in self.features if one.entity == entity and one.kind != PREVIOUS)

    @property
    def of_row(self) -> tuple[Feature, ...]:
        """The features of the row alone."""
        return tuple(feature for feature in self.features if not feature.entity)


def known_time_column(data: DataConfig) -> str:
    """The column of the known time; ingest adds `known_time` where the source names none."""
    return data.known_time or "known_time"


def duration_us(text: str) -> int:
    """`15m`, `1h`, `7d` as microseconds; raises `ValueError` for anything else."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise ValueError(f"{text!r} is no duration. Write a whole number of s, m, h or d, such as 15m or 30d")
    return int(found[1]) * UNITS_US[found[2]]


def faults(features: FeaturesConfig, data: DataConfig) -> list[str]:
    """What is wrong with the definitions; names are compared once all else is right."""
    if found := list(rules.broken(features, data)):
        return found
    bases = _bases(features, data)
    names = [one.name for one in _expanded(features, data)]
    return [*sequence_rules.unknown(features, bases), *rules.repeated(names), *rules.taken(names, data)]


def _expanded(features: FeaturesConfig, data: DataConfig) -> Iterator[Feature]:
    bases = _bases(features, data)
    for view, feature in _listed(features):
        if feature.kind == PREVIOUS:
            yield from _previous(view, feature, bases if feature.of is None else feature.of)
        else:
            yield from _expand(view, feature, data, _columns(feature, features, data))


def _listed(features: FeaturesConfig) -> list[tuple[ViewConfig, FeatureConfig]]:
    return [(view, feature) for view in features.views for feature in view.features]


def _bases(features: FeaturesConfig, data: DataConfig) -> list[str]:
    """The names of all features that a sequence may show."""
    listed = [(view, feature) for view, feature in _listed(features) if feature.kind != PREVIOUS]
    return [one.name for pair in listed for one in _expand(*pair, data, _columns(pair[1], features, data))]


def _previous(view: ViewConfig, feature: FeatureConfig, bases: list[str]) -> Iterator[Feature]:
    """The features of each earlier event and the seconds since then, the newest event first."""
    window_us, delay_us = duration_us(view.windows[0]), duration_us(view.delay)
    for back in range(1, (view.events or 0) + 1):
        one = Feature("", PREVIOUS, entity=tuple(view.entity), window_us=window_us, delay_us=delay_us, back=back)
        for base in bases:
            yield dataclasses.replace(one, name=f"{base}_{back}_back", base=base, empty=float(feature.empty or 0))
        yield dataclasses.replace(one, name=f"{ELAPSED}_{back}_back", empty=-1.0)


def _columns(feature: FeatureConfig, features: FeaturesConfig, data: DataConfig) -> dict[str, ColumnConfig]:
    """The columns of which the feature names one: the events' or its table's."""
    return features.tables[feature.table].columns if feature.table else data.columns


def _expand(
    view: ViewConfig, feature: FeatureConfig, data: DataConfig, columns: dict[str, ColumnConfig]
) -> Iterator[Feature]:
    """A feature per window or category."""
    categories = tuple(columns[feature.column].categories or ()) if feature.column else ()
    base = Feature(
        feature.name, feature.kind, feature.column,
        where=where.parse(feature.where, data.columns), empty=float(feature.empty or 0),
        nulls_count=feature.nulls == "zero", last_hour=feature.last_hour,
        zone=feature.zone, holidays=tuple(feature.holidays),
        table=feature.table, function=Function.of(feature, data) if feature.function else None,
    )  # fmt: skip
    if feature.kind in WINDOWED:
        for window in view.windows:
            yield dataclasses.replace(
                base,
                name=f"{feature.name}_{window}",
                entity=tuple(view.entity),
                window_us=duration_us(window),
                delay_us=duration_us(view.delay),
                current_row=view.current_row,
            )
    elif feature.kind == "one_hot":
        for category in categories:
            yield dataclasses.replace(base, name=f"{feature.name}={category}", categories=(category,))
    else:
        yield dataclasses.replace(base, categories=categories if feature.kind in ("ordinal", "lookup") else ())


def _feature(value: dict[str, Any]) -> Feature:
    """One definition from its JSON, which knows lists only."""
    listed = {name: tuple(value[name]) for name in ("entity", "categories", "holidays")}
    conditions = (Condition(**one) for one in value["where"])
    frozen = (
        dataclasses.replace(c, value=tuple(c.value) if isinstance(c.value, list) else c.value) for c in conditions
    )
    function = Function.from_json(value["function"])
    return Feature(**{**value, **listed, "where": tuple(frozen), "function": function})
