"""Feature definitions as data: what `conf/features/*.yaml` says, checked, in the order of the model's inputs."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workbench import digest
from workbench.config import DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.errors import ConfigError, raise_all

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
LONGEST_DAYS = 36_500  # a century: in microseconds such times are still far from the end of 64 bits
THURSDAY = 3  # 1970-01-01, where days are counted from, was one: weekday = (day + 3) % 7, Monday = 0
# What each kind needs: the types of its column (none: no column).
ROW_KINDS: dict[str, tuple[str, ...]] = {
    "column": ("integer", "number", "money"),
    "ordinal": ("string",),
    "one_hot": ("string",),
    "weekend": (),
    "night": (),
}
WINDOW_KINDS: dict[str, tuple[str, ...]] = {
    "count": (),
    "sum": ("integer", "money"),
    "mean": ("integer", "money"),
    "known_positive_rate": (),
}


@dataclass(frozen=True)
class Feature:
    """One input of a model. Windows and delays are in microseconds; 0 where the kind has none."""

    name: str
    kind: str
    column: str | None = None
    entity: str | None = None
    window_us: int = 0
    delay_us: int = 0
    current_row: bool = False
    last_hour: int = 6
    categories: tuple[str, ...] = ()  # ordinal: all of them; one_hot: the one


@dataclass(frozen=True)
class FeatureSet:
    """All inputs of a model and the roles of the columns that they are made from."""

    features: tuple[Feature, ...]
    id: str
    event_time: str
    known_time: str
    version: int = 1

    @classmethod
    def of(cls, features: FeaturesConfig, data: DataConfig) -> "FeatureSet":
        """The definitions of a config; raises `ConfigError` with every fault."""
        raise_all(ConfigError, "The feature definitions are wrong:", list(faults(features, data)))
        expanded = tuple(
            one for view in features.views for feature in view.features for one in _expand(view, feature, data)
        )
        return cls(expanded, data.id, data.event_time, known_time_column(data), features.version)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FeatureSet":
        """The definitions as `to_json` wrote them."""
        features = [Feature(**{**one, "categories": tuple(one["categories"])}) for one in value["features"]]
        return cls(tuple(features), value["id"], value["event_time"], value["known_time"], value["version"])

    def to_json(self) -> dict[str, Any]:
        """The definitions as plain JSON, for a bundle's `features.json`."""
        return dataclasses.asdict(self)

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
    def entities(self) -> tuple[str, ...]:
        """The entity columns, each once, in the order of their first use."""
        return tuple(dict.fromkeys(feature.entity for feature in self.features if feature.entity))

    @property
    def columns(self) -> set[str]:
        """The columns that an event must have."""
        of_features = {str(feature.column) for feature in self.features if feature.column}
        return {self.id, self.event_time, *self.entities, *of_features}

    @cached_property
    def horizon_us(self) -> int:
        """How far back any feature looks: the longest delay plus window."""
        return max((feature.delay_us + feature.window_us for feature in self.features), default=0)

    @property
    def memory_us(self) -> int:
        """How far back events are remembered: an event that is late by the horizon looks back that far once more."""
        return 2 * self.horizon_us

    def of_entity(self, entity: str) -> tuple[Feature, ...]:
        """The windowed features of one entity."""
        return tuple(feature for feature in self.features if feature.entity == entity)

    @property
    def of_row(self) -> tuple[Feature, ...]:
        """The features of the row alone."""
        return tuple(feature for feature in self.features if feature.entity is None)


def known_time_column(data: DataConfig) -> str:
    """The column of the known time; ingest adds `known_time` where the source names none."""
    return data.known_time or "known_time"


def faults(features: FeaturesConfig, data: DataConfig) -> Iterator[str]:
    """What is wrong with the definitions, or does not fit this data set, one sentence each."""
    if not features.views:
        yield "features.views is empty. Define at least one view, or choose one: features=payments."
    names: Counter[str] = Counter()
    for view in features.views:
        yield from _view_faults(view, data)
        for feature in view.features:
            yield from _feature_faults(view, feature, data)
            names.update(_names(view, feature, data))
    for name in sorted(name for name, times in names.items() if times > 1):
        yield f"features: the name {name} is used {names[name]} times. Every feature needs a name of its own."


def _names(view: ViewConfig, feature: FeatureConfig, data: DataConfig) -> list[str]:
    """The names of the inputs that a feature gives, in their order."""
    if feature.kind in WINDOW_KINDS:
        return [f"{feature.name}_{days:g}d" for days in view.windows_days]
    if feature.kind == "one_hot":
        return [f"{feature.name}={category}" for category in _categories(feature, data)]
    return [feature.name]


def _categories(feature: FeatureConfig, data: DataConfig) -> tuple[str, ...]:
    column = data.columns.get(str(feature.column))
    return tuple(column.categories or ()) if column else ()


def _expand(view: ViewConfig, feature: FeatureConfig, data: DataConfig) -> Iterator[Feature]:
    names, categories = _names(view, feature, data), _categories(feature, data)
    base = Feature(feature.name, feature.kind, feature.column, last_hour=feature.last_hour)
    if feature.kind in WINDOW_KINDS:
        for name, days in zip(names, view.windows_days, strict=True):
            yield dataclasses.replace(
                base,
                name=name,
                entity=view.entity,
                window_us=round(days * DAY_US),
                delay_us=round(view.delay_days * DAY_US),
                current_row=view.current_row,
            )
    elif feature.kind == "one_hot":
        for name, category in zip(names, categories, strict=True):
            yield dataclasses.replace(base, name=name, categories=(category,))
    else:
        yield dataclasses.replace(base, categories=categories if feature.kind == "ordinal" else ())


def _view_faults(view: ViewConfig, data: DataConfig) -> Iterator[str]:
    where = f"features.views[{view.name}]"
    if view.entity is not None and view.entity not in data.entities:
        yield f"{where}.entity={view.entity} is no entity. Use one of: {', '.join(data.entities) or 'none'}."
    if view.current_row and view.delay_days:
        yield f"{where}.current_row=true needs delay_days=0: a delayed window ends before its row."
    if not 0 <= view.delay_days < LONGEST_DAYS or not all(0 < days < LONGEST_DAYS for days in view.windows_days):
        yield (
            f"{where}: windows_days={view.windows_days} must be longer than 0 days and delay_days={view.delay_days:g}"
            f" at least 0, all shorter than {LONGEST_DAYS}."
        )


def _feature_faults(view: ViewConfig, feature: FeatureConfig, data: DataConfig) -> Iterator[str]:
    where = f"features.views[{view.name}].{feature.name}"
    kinds = ROW_KINDS | WINDOW_KINDS
    if feature.kind not in kinds:
        yield f"{where}.kind={feature.kind} is unknown. Use one of: {', '.join(kinds)}."
        return
    if feature.kind in WINDOW_KINDS and (view.entity is None or not view.windows_days):
        yield f"{where}.kind={feature.kind} needs the view's entity and windows_days."
    if not 0 <= feature.last_hour <= 23:
        yield f"{where}.last_hour={feature.last_hour} is no hour. Use a number from 0 to 23."
    needed = kinds[feature.kind]
    if needed and (feature.column not in data.columns):
        yield f"{where}.column={feature.column} names no column of the data. Use one of: {', '.join(data.columns)}."
    elif needed and feature.column in data.entities:
        yield (
            f"{where}.column={feature.column} is one of data.entities: the endpoint sees a keyed token in its place, so"
            f" that training and serving would differ. Use a view with entity={feature.column}, or take it out of"
            " data.entities."
        )
    elif needed and (found := data.columns[str(feature.column)]).type not in needed:
        yield f"{where}.column={feature.column} is of type {found.type}; {feature.kind} takes {' or '.join(needed)}."
    elif needed == ("string",) and not data.columns[str(feature.column)].categories:
        yield f"{where}.column={feature.column} has no categories. Declare data.columns.{feature.column}.categories."
