"""Features of many rows at once, under two clocks, in exact integers and without a loop over rows.

`timeline.py` says which facts each row sees, as intervals; `intervals.py` aggregates them; here every kind of feature
is made of these. Sums are exact integers and every feature is one division at the end, so that no result depends on an
order and `online.py` gives the same bits. Shapes: N asking rows, M facts, I intervals.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features import intervals, rows, sequences, where
from workbench.features.definitions import Feature, FeatureSet, Window
from workbench.features.intervals import NOTHING
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import NO_TABLES, Tables
from workbench.features.timeline import Facts, Intervals, Timeline
from workbench.features.where import Where

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def features_of(
    feature_set: FeatureSet, events: pa.Table, positives: PositiveIntervals, tables: Tables = NO_TABLES
) -> dict[str, Floats]:
    """All features, by name, in the order of `events`, which must hold every event of all their entities."""
    found = row_features(feature_set, events, tables)
    for entity in feature_set.entities:
        found |= entity_features(feature_set, entity, events, positives)
    return found | sequences.features(feature_set, events, found)


def row_features(feature_set: FeatureSet, events: pa.Table, tables: Tables = NO_TABLES) -> dict[str, Floats]:
    """The features of the rows alone, by name, in the order of `events`."""
    return rows.columns_of(feature_set, events, tables)


def entity_features(
    feature_set: FeatureSet, entity: tuple[str, ...], events: pa.Table, positives: PositiveIntervals
) -> dict[str, Floats]:
    """The windowed features of one entity, by name, in the order of `events`.

    `events` must hold every event of each entity that occurs in it (a partition by entity, or all); `positives` may
    hold the labels of more events than these. Of rows that do not ask (`versions.py`) the features mean nothing.
    """
    timeline = Timeline.of(feature_set, entity, events)
    partition = Partition(feature_set, events, positives, timeline)
    return {
        f.name: timeline.spread(AGGREGATES[f.kind](partition, f), events.num_rows, f.empty)
        for f in feature_set.of_entity(entity)
    }


@dataclass(frozen=True)
class Partition:
    """What the features of one entity share, computed once."""

    feature_set: FeatureSet
    events: pa.Table
    positives: PositiveIntervals
    timeline: Timeline
    known: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made at the first use of its key."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def seen(self, window: Window, where_: Where = ()) -> Intervals:
        """Where the events that meet the conditions are seen."""
        whole = self.once(window, lambda: self._intervals(window, "events", self.timeline.facts))
        return self.once((window, where_), lambda: whole.of(self._meets(where_))) if where_ else whole

    def valued(self, feature: Feature, where_: Where = ()) -> Intervals:
        """Where the events are seen that meet the conditions and whose column counts."""
        seen = self.seen(feature.window, where_)
        valid = self.once(
            ("valid", feature.column), lambda: self._of_facts(self.events[str(feature.column)].is_valid())
        )
        return seen if feature.nulls_count or valid.all() else seen.of(valid)

    def integers(self, column: str | None) -> Ints:
        """[M] a column of whole numbers or minor units; a null counts as 0."""
        return self.once(column, lambda: self._of_facts(integers(self.events[str(column)])))

    def ordered(self, column: str | None) -> Ints:
        """[M] numbers as integers of the same order: floats by their bits."""
        return self.once(("ordered", column), lambda: self._of_facts(_ordered(self.events[str(column)])))

    def codes(self, column: str | None, nulls_count: bool) -> Ints:
        """[M] a number for each different value; a null that counts is the value 0."""
        return self.once(
            ("codes", column, nulls_count), lambda: self._of_facts(_codes(self.events[str(column)], nulls_count))
        )

    def labelled(self, feature: Feature) -> Ints:
        """[N] how many of the other events are known to be positive."""
        return self.total(self.positive(feature.window, feature.where))

    def positive(self, window: Window, where_: Where) -> Intervals:
        """Where the other events that meet the conditions are seen and known to be positive."""
        facts, event = self.once("positives", self._positives)
        seen = self.once(("positives", window), lambda: self._intervals(window, "positives", facts))
        return seen.of(self._meets(where_)[event]) if where_ else seen

    @property
    def positive_time(self) -> Ints:
        """The event time of each fact of `positive`."""
        return self.once("positives", self._positives)[0].time

    def total(self, seen: Intervals, value: Ints | None = None, squared: bool = False) -> Any:
        """[N] the sum of the values ([M], ones when None), or of their squares, of the facts that each row sees."""
        places = (seen.start, seen.end)
        if value is None:
            return self.once(seen, lambda: intervals.count(*places, len(self.timeline.time)))
        add = intervals.exact_squares if squared else intervals.exact_total
        return add(*places, value[seen.fact], len(self.timeline.time))

    def greatest(self, seen: Intervals, value: Ints) -> Ints:
        """[N] the greatest value ([M]) of the facts that each row sees, `NOTHING` where it sees none."""
        return intervals.greatest(seen.start, seen.end, value[seen.fact], len(self.timeline.time))

    def _intervals(self, window: Window, name: str, facts: Facts) -> Intervals:
        """Where each of the facts is seen; windows of one delay begin alike."""
        start = self.once((name, window.delay_us), lambda: self.timeline.starts(window.delay_us, facts))
        return self.timeline.intervals(window, facts, start)

    def _positives(self) -> tuple[Facts, Ints]:
        return self.timeline.positives(self.positives, self.events[self.feature_set.id])

    def _meets(self, where_: Where) -> Mask:
        return self.once(("meets", where_), lambda: self._of_facts(where.mask(where_, self.events)))

    def _of_facts(self, values: Any) -> Any:
        column = values if isinstance(values, np.ndarray) else values.to_numpy()
        return column[self.timeline.facts.position]


def integers(column: pa.ChunkedArray) -> Ints:
    """A column of whole numbers or minor units; a null counts as 0."""
    return pc.fill_null(column.cast(pa.int64()), 0).to_numpy()


def divided(numerator: Any, denominator: Any, empty: float) -> Floats:
    """One float64 division of exact integers, and `empty` where there is nothing to divide by."""
    by = denominator.astype(np.float64)
    return np.divide(numerator.astype(np.float64), by, out=np.full(len(by), empty), where=by != 0)


def _count(p: Partition, f: Feature) -> Floats:
    return p.total(p.seen(f.window, f.where)).astype(np.float64)


def _sum(p: Partition, f: Feature) -> Floats:
    return p.total(p.valued(f, f.where), p.integers(f.column)).astype(np.float64)


def _mean(p: Partition, f: Feature) -> Floats:
    seen = p.valued(f, f.where)
    return divided(p.total(seen, p.integers(f.column)), p.total(seen), f.empty)


def _std(p: Partition, f: Feature) -> Floats:
    """Sample standard deviation: sqrt((n * sum of squares - sum^2) / (n * (n - 1)))."""
    seen, value = p.valued(f, f.where), p.integers(f.column)
    n, sums, squares = p.total(seen), p.total(seen, value), p.total(seen, value, squared=True)
    most = max(map(abs, (*_ends(n), *_ends(sums))), default=0)
    if max(most, *map(abs, _ends(squares))) * most >= 2**62:
        n, sums, squares = (one.astype(object) for one in (n, sums, squares))
    spread = divided(n * squares - sums * sums, n * (n - 1), -1.0)
    return np.where(n.astype(np.int64) > 1, np.sqrt(np.maximum(spread, 0.0)), f.empty)


def _ends(values: Any) -> tuple[int, int]:
    return (int(values.min()), int(values.max())) if len(values) else (0, 0)


def _max(p: Partition, f: Feature) -> Floats:
    found = p.greatest(p.valued(f, f.where), p.ordered(f.column))
    return np.where(found == NOTHING, f.empty, _unordered(found, p.events[str(f.column)].type))


def _min(p: Partition, f: Feature) -> Floats:
    found = p.greatest(p.valued(f, f.where), ~p.ordered(f.column))
    return np.where(found == NOTHING, f.empty, _unordered(~found, p.events[str(f.column)].type))


def _peak(p: Partition, f: Feature) -> Floats:
    """The greatest value over the mean: greatest * n / sum."""
    seen, value = p.valued(f, f.where), p.integers(f.column)
    n, sums, most = p.total(seen), p.total(seen, value), p.greatest(seen, value)
    most = np.where(most == NOTHING, 0, most)
    if max(map(abs, _ends(most))) * max(map(abs, _ends(n))) >= 2**62:
        most, n = most.astype(object), n.astype(object)
    return divided(most * n, sums, f.empty)


def _distinct(p: Partition, f: Feature) -> Floats:
    seen = p.valued(f, f.where)
    codes = p.codes(f.column, f.nulls_count)[seen.fact]
    return intervals.distinct(seen.start, seen.end, codes, len(p.timeline.time)).astype(np.float64)


def _ratio(p: Partition, f: Feature) -> Floats:
    """The row's own value over the mean: value * n / sum."""
    seen, value = p.valued(f, f.where), p.integers(f.column)
    own, n, sums = value[p.timeline.facts.itself], p.total(seen), p.total(seen, value)
    if max(map(abs, _ends(own))) * max(map(abs, _ends(n))) >= 2**62:
        own, n = own.astype(object), n.astype(object)
    valid = p.once(("valid", f.column), lambda: p._of_facts(p.events[str(f.column)].is_valid()))
    known = valid[p.timeline.facts.itself] | f.nulls_count
    return np.where(known, divided(own * n, sums, f.empty), f.empty)


def _share(p: Partition, f: Feature) -> Floats:
    return divided(p.total(p.seen(f.window, f.where)), p.total(p.seen(f.window)), f.empty)


def _since_last(p: Partition, f: Feature) -> Floats:
    """Seconds since the newest event but itself."""
    seen = p.seen(f.window._replace(current_row=False), f.where)
    newest = p.greatest(seen, p.timeline.facts.time)
    return np.where(newest == NOTHING, f.empty, (p.timeline.time - newest) / 1e6)


def _age(p: Partition, f: Feature) -> Floats:
    """Seconds since the oldest event of the window."""
    oldest = p.greatest(p.seen(f.window, f.where), ~p.timeline.facts.time)
    return np.where(oldest == NOTHING, f.empty, (p.timeline.time - ~oldest) / 1e6)


def _known_positive_count(p: Partition, f: Feature) -> Floats:
    return p.labelled(f).astype(np.float64)


def _known_positive_rate(p: Partition, f: Feature) -> Floats:
    return divided(p.labelled(f), p.total(p.seen(f.window, f.where)), f.empty)


def _since_known_positive(p: Partition, f: Feature) -> Floats:
    """Seconds since the newest event but itself that is known to be positive."""
    newest = p.greatest(p.positive(f.window, f.where), p.positive_time)
    return np.where(newest == NOTHING, f.empty, (p.timeline.time - newest) / 1e6)


def _age_known_positive(p: Partition, f: Feature) -> Floats:
    """Seconds since the oldest event of the window that is known to be positive."""
    oldest = p.greatest(p.positive(f.window, f.where), ~p.positive_time)
    return np.where(oldest == NOTHING, f.empty, (p.timeline.time - ~oldest) / 1e6)


def _newest_known_positive(p: Partition, f: Feature) -> Floats:
    """Whether the newest event but itself, or one at the same time, is known to be positive."""
    newest = p.greatest(p.seen(f.window._replace(current_row=False), f.where), p.timeline.facts.time)
    return np.where(newest == NOTHING, f.empty, newest == p.greatest(p.positive(f.window, f.where), p.positive_time))


def _codes(column: pa.ChunkedArray, nulls_count: bool) -> Ints:
    """A number for each different value; a null that counts is the value 0, of any other the number means nothing."""
    values = (pc.fill_null(column, 0) if nulls_count else column).combine_chunks()
    values = pc.add(values, 0.0) if pa.types.is_floating(values.type) else values  # no negative zero
    return pc.fill_null(values.dictionary_encode().indices, 0).to_numpy().astype(np.int64)


def _ordered(column: pa.ChunkedArray) -> Ints:
    """Numbers as int64 of the same order. Of a float: its bits, those of a negative one turned round."""
    if not pa.types.is_floating(column.type):
        return integers(column)
    bits = (pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy() + 0.0).view(np.int64)  # + 0.0: no negative zero
    return bits ^ ((bits >> 63) & np.int64(2**63 - 1))


def _unordered(values: Ints, kind: pa.DataType) -> Floats:
    """The numbers back from `_ordered`."""
    if not pa.types.is_floating(kind):
        return values.astype(np.float64)
    return (values ^ ((values >> 63) & np.int64(2**63 - 1))).view(np.float64)


AGGREGATES: dict[str, Callable[[Partition, Feature], Floats]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _min,
    "max": _max,
    "peak": _peak,
    "distinct": _distinct,
    "ratio": _ratio,
    "share": _share,
    "since_last": _since_last,
    "age": _age,
    "known_positive_count": _known_positive_count,
    "known_positive_rate": _known_positive_rate,
    "since_known_positive": _since_known_positive,
    "age_known_positive": _age_known_positive,
    "newest_known_positive": _newest_known_positive,
}
