"""Feature views for a data set that has none: every declared column by its type, and nothing looked back on."""

import dataclasses

from workbench.config import ColumnConfig, Config, DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data.versions import asked_columns
from workbench.features import reserved
from workbench.features.kinds import NUMBERS
from workbench.progress import say

MOST_CATEGORIES = 40  # that become a column each; of more, their declared order is the feature


def completed(cfg: Config) -> Config:
    """The config with views made of the data set's columns, where it has none."""
    if cfg.features.views:
        return cfg
    return dataclasses.replace(cfg, features=of(cfg.data, cfg.features))


def of(data: DataConfig, features: FeaturesConfig) -> FeaturesConfig:
    """One view of all columns that say something of the row itself; ids, times, entities and free texts are none."""
    roles = {data.id, data.event_time, data.known_time, *data.entities}
    open_ = {name: one for name, one in asked_columns(data).items() if name not in roles}
    found = [one for name, column in open_.items() if (one := _feature(name, reserved.free(name, data), column))]
    if left := sorted(set(open_) - {one.column for one in found}):
        say(f"  no feature of {', '.join(left)}: a time, or a text without declared categories")
    return dataclasses.replace(features, views=[ViewConfig(name="columns", features=found)])


def _feature(column_name: str, name: str, column: ColumnConfig) -> FeatureConfig | None:
    if column.type in NUMBERS:
        empty = _nothing(column) if column.nulls else None
        return FeatureConfig(name=name, kind="column", column=column_name, empty=empty)
    if column.type == "string" and column.categories:
        many = not 2 < len(column.categories) <= MOST_CATEGORIES
        return FeatureConfig(name=name, kind="ordinal" if many else "one_hot", column=column_name)
    return None


def _nothing(column: ColumnConfig) -> float:
    """A value for a null: below all others where it is known what they are, so that trees can tell it apart."""
    return 0.0 if column.minimum is None else column.minimum - 1
