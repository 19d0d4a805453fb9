"""Features of many rows at once, under two clocks, in exact integers and without a loop over rows.

A row at time t sees a fact (an earlier event, a label) when the fact's event time lies in the window (t - delay - w,
t - delay] and it was known by t. Turned round: a fact with event time e and known time k is visible to the rows of its
entity from max(e + delay, k) until before e + delay + w. So every fact is an interval on the sorted rows of its entity:
its value is added where the interval starts and taken away where it ends, and one cumulative sum gives every row its
window. Late facts need no special case, no sum depends on an order, and a mean is one division at the end.

Ties: rows of one entity and instant are ordered by id; a row that may see its own instant sees the smaller ids of it.

Shapes: N rows (sorted by entity, time, id), L label facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features.definitions import DAY_US, HOUR_US, THURSDAY, Feature, FeatureSet
from workbench.features.labels import PositiveIntervals

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def row_features(feature_set: FeatureSet, events: pa.Table) -> dict[str, Floats]:
    """The features of the rows alone, by name, in the order of `events`. A null value gives 0."""
    time_us = micros(events[feature_set.event_time])
    return {feature.name: _row_feature(feature, events, time_us) for feature in feature_set.of_row}


def entity_features(
    feature_set: FeatureSet, entity: str, events: pa.Table, positives: PositiveIntervals
) -> dict[str, Floats]:
    """The windowed features of one entity, by name, in the order of `events`.

    `events` must hold every event of each entity that occurs in it (a partition by entity, or all); `positives` may
    hold the labels of more events than these.
    """
    rows = SortedRows.of(feature_set, entity, events)
    sums: dict[tuple[object, ...], Ints] = {}
    return {f.name: rows.unsorted(_windowed(f, rows, events, positives, sums)) for f in feature_set.of_entity(entity)}


@dataclass(frozen=True)
class SortedRows:
    """The rows of a partition in the order of entity, time and id, and where an entity's instant falls among them."""

    order: Ints  # [N] positions in the partition
    ids: Ints | NDArray[np.object_]  # [N]
    entity: Ints  # [N] codes
    time: Ints  # [N] event time, us from `origin`
    known: Ints  # [N] known time, us from `origin`
    key: Ints  # [N] entity and time as one ascending number
    span: int  # distance of two entities in `key`
    origin: int  # us since 1970

    @classmethod
    def of(cls, feature_set: FeatureSet, entity: str, events: pa.Table) -> "SortedRows":
        """The sorted rows of a partition."""
        codes = pc.dictionary_encode(events[entity].combine_chunks()).indices.to_numpy().astype(np.int64)
        time, known = micros(events[feature_set.event_time]), micros(events[feature_set.known_time])
        ids = events[feature_set.id].to_numpy()
        order = np.lexsort((ids, time, codes))
        origin = int(time.min()) if len(time) else 0
        span = int(time.max()) - origin + 2 if len(time) else 2
        assert (int(codes.max(initial=0)) + 1) * span < 2**63, "too many entities: raise features.partitions"
        time, known, codes = time[order] - origin, known[order] - origin, codes[order]
        return cls(order, ids[order], codes, time, known, codes * span + time, span, origin)

    def first_at(self, entity: Ints, time: Ints) -> Ints:
        """For each pair the first row of the entity at or after this time (the next entity's first row if none is)."""
        return np.searchsorted(self.key, entity * self.span + np.clip(time, 0, self.span - 1))

    def unsorted(self, values: Floats) -> Floats:
        """Values of sorted rows in the order that the partition has."""
        result = np.empty_like(values)
        result[self.order] = values
        return result


def micros(column: pa.ChunkedArray) -> Ints:
    """Timestamps as microseconds since 1970."""
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()


def _windowed(
    feature: Feature,
    rows: SortedRows,
    events: pa.Table,
    positives: PositiveIntervals,
    sums: dict[tuple[object, ...], Ints],
) -> Floats:
    """One windowed feature of the sorted rows; `sums` keeps what several features of a window share."""

    def window_sum(what: str) -> Ints:
        shared = (what, feature.window_us, feature.delay_us, feature.current_row)
        if shared not in sums:
            sums[shared] = (
                _positive_count(feature, rows, positives) if what == "" else _sum(feature, rows, events, what)
            )
        return sums[shared]

    if feature.kind in ("count", "sum"):
        return window_sum(str(feature.column) if feature.kind == "sum" else "1").astype(np.float64)
    numerator = window_sum("" if feature.kind == "known_positive_rate" else str(feature.column))
    return ratio(numerator, window_sum("1"))


def ratio(numerator: Ints, denominator: Ints) -> Floats:
    """One float64 division, and 0 where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)


def _sum(feature: Feature, rows: SortedRows, events: pa.Table, what: str) -> Ints:
    """Sum of a column (or of ones) over the events in each row's window."""
    values = np.ones(len(rows.order), np.int64) if what == "1" else integers(events[what])[rows.order]
    own = np.arange(len(rows.order))
    start, end = _interval(feature, rows, own, rows.known)
    total = _accumulate(start, end, values, len(own))
    if feature.current_row:  # a row that was known late still sees itself
        total += np.where(start > own, values, 0)
    return total


def _interval(feature: Feature, rows: SortedRows, row: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Where the fact that is event `row`, known at `known`, becomes visible and where it leaves the window again."""
    entity, time = rows.entity[row], rows.time[row]
    visible = np.maximum(time + feature.delay_us, known)
    start = rows.first_at(entity, visible)
    if (
        feature.delay_us == 0
    ):  # among the rows of its own instant it is visible to itself and later ids, or later ids only
        start = np.where(known <= time, row + (0 if feature.current_row else 1), start)
    return start, rows.first_at(entity, time + feature.delay_us + feature.window_us)


def _positive_count(feature: Feature, rows: SortedRows, positives: PositiveIntervals) -> Ints:
    """Number of events in each row's window that were known to be positive at the row's time."""
    if not len(rows.ids):
        return np.zeros(0, np.int64)
    by_id = np.argsort(rows.ids, kind="stable")
    where = np.searchsorted(rows.ids, positives.ids, sorter=by_id)
    here = where < len(by_id)
    row = by_id[np.minimum(where, len(by_id) - 1)]
    here &= rows.ids[row] == positives.ids
    row, told, until = row[here], positives.since_us[here] - rows.origin, positives.until_us[here] - rows.origin
    since = np.maximum(told, rows.known[row])  # what is no event yet is no positive one: a rate is never above 1
    start, end = _interval(feature, rows, row, since)
    if (
        feature.delay_us == 0
    ):  # a label is no event: it is visible from its own known time, to no row of that instant before
        start = rows.first_at(rows.entity[row], np.maximum(rows.time[row], since))
        start = np.maximum(start, row + (0 if feature.current_row else 1))
    end = np.minimum(end, rows.first_at(rows.entity[row], until))
    total = _accumulate(start, end, np.ones(len(row), np.int64), len(rows.order))
    if feature.current_row:  # a row that was known late still sees itself, and what was said of it
        time = rows.time[row]
        np.add.at(total, row, (rows.known[row] > time) & (told <= time) & (time < until))
    return total


def _accumulate(start: Ints, end: Ints, values: Ints, rows: int) -> Ints:
    """For each row the sum of the values whose interval [start, end) holds it."""
    change = np.zeros(rows + 1, np.int64)
    some = end > start
    np.add.at(change, start[some], values[some])
    np.subtract.at(change, end[some], values[some])
    return np.cumsum(change[:-1])


def integers(column: pa.ChunkedArray) -> Ints:
    """A column of whole numbers or minor units; a null counts as 0."""
    return pc.fill_null(column.cast(pa.int64()), 0).to_numpy()


def _row_feature(feature: Feature, events: pa.Table, time_us: Ints) -> Floats:
    if feature.kind == "weekend":
        return ((time_us // DAY_US + THURSDAY) % 7 >= 5).astype(np.float64)
    if feature.kind == "night":
        return (time_us % DAY_US // HOUR_US <= feature.last_hour).astype(np.float64)
    column = events[str(feature.column)]
    if feature.kind in ("one_hot", "ordinal"):
        return _position(column, feature.categories) + (feature.kind == "one_hot")
    return pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy()


def _position(column: pa.ChunkedArray, categories: Sequence[str]) -> Floats:
    """The position of each value in the declared categories, -1 where it is not among them."""
    found = pc.index_in(column.cast(pa.string()), pa.array(categories, pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.float64)
