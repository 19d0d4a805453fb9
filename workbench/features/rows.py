"""Features of the row alone, for one event at a time: the scalar twins of the columns in `offline.py`."""

from collections.abc import Callable, Mapping
from typing import Any

from workbench.features.definitions import DAY_US, HOUR_US, THURSDAY, Feature, FeatureSet

RowFunction = Callable[[Mapping[str, Any]], float]


def row_function(feature: Feature, feature_set: FeatureSet) -> RowFunction:
    """The function that gives this feature of an event; times are int microseconds since 1970, a null gives 0."""
    column, time = str(feature.column), feature_set.event_time
    if feature.kind == "weekend":
        return lambda event: float((event[time] // DAY_US + THURSDAY) % 7 >= 5)
    if feature.kind == "night":
        return lambda event: float(event[time] % DAY_US // HOUR_US <= feature.last_hour)
    if feature.kind == "one_hot":
        return lambda event: float(event.get(column) == feature.categories[0])
    if feature.kind == "ordinal":
        position = {category: float(i) for i, category in enumerate(feature.categories)}
        return lambda event: position.get(event.get(column), -1.0)  # type: ignore[arg-type]
    return lambda event: float(event.get(column) or 0.0)
