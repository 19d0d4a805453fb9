"""Features of the row alone, twice: a column of many rows, and a function of one event. The same numbers."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features import functions
from workbench.features.definitions import DAY_US, Feature, FeatureSet
from workbench.features.tables import NO_TABLES, Tables

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_DAY = EPOCH.date()
HOUR_US = DAY_US // 24
THURSDAY = 3  # 1970-01-01 was one: weekday = (day + 3) % 7, Monday = 0
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RowFunction = Callable[[Mapping[str, Any]], float]


def columns_of(feature_set: FeatureSet, events: pa.Table, tables: Tables) -> dict[str, Floats]:
    """The features of every row of a table, by name; each table is joined once."""
    place = {one.name: tables[one.name].places(events, feature_set.event_time) for one in feature_set.tables}
    return {
        one.name: tables[one.table].values(one)[place[one.table]] if one.table else column_of(one, feature_set, events)
        for one in feature_set.of_row
    }


def column_of(feature: Feature, feature_set: FeatureSet, events: pa.Table) -> Floats:
    """A feature that is no lookup, for every row of a table."""
    if feature.function:
        return functions.column_of(feature, events)
    if feature.kind in PARTS:
        local_us = _local_column(events[feature_set.event_time], feature.zone)
        return np.asarray(PARTS[feature.kind](feature, local_us), np.float64)
    column = events[str(feature.column)]
    if feature.kind in ("one_hot", "ordinal"):
        found = pc.index_in(column.cast(pa.string()), pa.array(feature.categories, pa.string()))
        return pc.fill_null(found, -1).to_numpy().astype(np.float64) + (feature.kind == "one_hot")
    return pc.fill_null(column.cast(pa.float64(), safe=False), feature.empty).to_numpy()


def row_function(feature: Feature, feature_set: FeatureSet, tables: Tables = NO_TABLES) -> RowFunction:
    """The function that gives this feature of an event; times are int microseconds since 1970."""
    column, time = str(feature.column), feature_set.event_time
    if feature.table:
        return tables[feature.table].row_function(feature, time)
    if feature.function:
        return functions.row_function(feature)
    if feature.kind in PARTS:
        part, to_local = PARTS[feature.kind], _local_function(feature.zone)
        return lambda event: float(part(feature, to_local(event[time])))
    if feature.kind == "one_hot":
        return lambda event: float(event.get(column) == feature.categories[0])
    if feature.kind == "ordinal":
        position = {category: float(i) for i, category in enumerate(feature.categories)}
        return lambda event: position.get(event.get(column), -1.0)  # type: ignore[arg-type]
    empty = feature.empty

    def value(event: Mapping[str, Any]) -> float:
        found = event.get(column)
        return empty if found is None else float(found)

    return value


def _local_column(times: pa.ChunkedArray, zone: str) -> Ints:
    """Wall-clock microseconds since 1970 in a zone: the zone's offset is looked up once per hour, where it is one.

    (Arrow's own zones end in 2037; Python's go on.)
    """
    utc = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    if zone == "UTC" or not len(utc):
        return utc
    local = _local_function(zone)
    hour, place = np.unique(utc // HOUR_US, return_inverse=True)
    begins, ends = (np.array([local(int(one)) - int(one) for one in hour * HOUR_US + add]) for add in (0, HOUR_US - 1))
    found = utc + begins[place]
    for row in np.flatnonzero((begins != ends)[place]):  # the clock changes within this hour
        found[row] = local(int(utc[row]))
    return found


def _local_function(zone: str) -> Callable[[int], int]:
    if zone == "UTC":
        return lambda time_us: time_us
    place = ZoneInfo(zone)

    def local(time_us: int) -> int:
        offset = (EPOCH + dt.timedelta(microseconds=time_us)).astimezone(place).utcoffset()
        return time_us + (offset or dt.timedelta()) // dt.timedelta(microseconds=1)

    return local


# Each part of the calendar from wall-clock microseconds: the same expression for one number and for an array of them.
PARTS: dict[str, Callable[[Feature, Any], Any]] = {
    "hour": lambda _, local_us: local_us % DAY_US // HOUR_US,
    "weekday": lambda _, local_us: (local_us // DAY_US + THURSDAY) % 7,
    "weekend": lambda _, local_us: (local_us // DAY_US + THURSDAY) % 7 >= 5,
    "night": lambda feature, local_us: local_us % DAY_US // HOUR_US <= feature.last_hour,
    "monthday": lambda _, local_us: _monthday(local_us // DAY_US),
    "holiday": lambda feature, local_us: _is_holiday(feature, local_us // DAY_US),
}


def _monthday(day: Any) -> Any:
    if isinstance(day, np.ndarray):
        days = day.astype("datetime64[D]")
        return (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    return (EPOCH_DAY + dt.timedelta(days=day)).day


def _is_holiday(feature: Feature, day: Any) -> Any:
    days = [(dt.date.fromisoformat(one) - EPOCH_DAY).days for one in feature.holidays]
    return np.isin(day, days) if isinstance(day, np.ndarray) else day in days
