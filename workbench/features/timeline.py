"""The rows of one partition in the order of entity, time and id, and where on it each fact can be seen.

A row at time t sees a fact (an earlier event, a label) when the fact's event time lies in the window (t - delay - w,
t - delay] and it was known by t and not yet corrected or deleted. Turned round: a fact with event time e, known from k
until c, is seen by the rows of its entity from max(e + delay, k) until before min(e + delay + w, c): an interval.

Ties: rows of one entity and instant are ordered by id; a row that may see its own instant sees the smaller ids of it.
A row never sees another version of itself, and itself only where the window says `current_row`; its own label never,
for that is what is asked. A row without entity (null in one of its columns) has no past.

Shapes: N asking rows, M facts (N, and the later versions of corrected events), I intervals.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features.definitions import FeatureSet, Window
from workbench.features.labels import NEVER_US, PositiveIntervals
from workbench.features.places import Places
from workbench.features.versions import ASKS, UNTIL

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """What rows may see, in the order of entity, time, id and known time. Times are us from the timeline's origin."""

    position: Ints  # [M] in the partition
    entity: Ints  # [M] codes
    time: Ints  # [M] event time
    since: Ints  # [M] known from
    until: Ints  # [M] until corrected or deleted
    behind: Ints  # [M] the first row that is behind it in the order of entity, time and id
    own: Ints  # [M] the row of the same event, -1 where it is none of these
    itself: Mask  # [M] whether that row asked with this very version and so sees it, where the window says so

    def take(self, chosen: Any) -> "Facts":
        """Some of the facts."""
        return Facts(*(getattr(self, one.name)[chosen] for one in dataclasses.fields(self)))


@dataclass(frozen=True, eq=False)  # each is itself only, and so a key of what was computed of it
class Intervals:
    """Which rows see which facts: fact `fact[i]` is seen by the rows `start[i]` to `end[i]` - 1."""

    start: Ints  # [I]
    end: Ints  # [I]
    fact: Ints  # [I]

    def of(self, chosen: Mask) -> "Intervals":
        """Those of the facts that are chosen ([M])."""
        some = chosen[self.fact]
        return Intervals(self.start[some], self.end[some], self.fact[some])


@dataclass(frozen=True)
class Timeline:
    """The rows that ask, and the facts."""

    position: Ints  # [N] of the rows in the partition
    time: Ints  # [N] event time, us from `origin`
    places: Places  # of the rows
    facts: Facts
    origin: int  # us since 1970

    @classmethod
    def of(cls, feature_set: FeatureSet, entity: tuple[str, ...], events: pa.Table) -> "Timeline":
        """The timeline of a partition, which holds every event of each entity that occurs in it."""
        code, time, known = entity_codes(events, entity), *_times(feature_set, events)
        ids = events[feature_set.id].to_numpy()
        order = np.lexsort((known, ids, time) if UNTIL in events.column_names else (ids, time))
        order = order[code[order] >= 0]
        order = order[np.argsort(_narrow(code[order]), kind="stable")]
        code, time, known = code[order], time[order], known[order]
        origin = int(time.min(initial=NEVER_US))
        time, known, until = time - origin, known - origin, _until(events, order) - origin
        asks = events[ASKS].to_numpy()[order] if ASKS in events.column_names else np.ones(len(order), bool)
        behind = np.cumsum(asks)
        own = behind - 1 if asks.all() else _rows_of_versions(ids[order], asks)
        facts = Facts(order, code, time, known, until, behind, own, asks)
        return cls(order[asks], time[asks], Places.of(code[asks], time[asks]), facts, origin)

    def intervals(self, window: Window, facts: Facts, start: Ints) -> Intervals:
        """Where each of the facts is seen through a window, from `starts` on."""
        end = self.places.first_at(facts.entity, facts.time + window.delay_us + window.length_us)
        if (facts.until < NEVER_US - self.origin).any():
            end = np.minimum(end, self.places.first_at(facts.entity, facts.until))
        seen = _without_own(Intervals(start, end, np.arange(len(start))), facts.own)
        return _with_itself(seen, facts) if window.current_row else seen

    def starts(self, delay_us: int, facts: Facts) -> Ints:
        """The first row that may see each fact; of the fact's own instant only later ids do."""
        if delay_us:
            return self.places.first_at(facts.entity, np.maximum(facts.time + delay_us, facts.since))
        late = np.flatnonzero(facts.since > facts.time)
        start = facts.behind.copy()
        start[late] = np.maximum(start[late], self.places.first_at(facts.entity[late], facts.since[late]))
        return start

    def positives(self, labels: PositiveIntervals, ids: pa.ChunkedArray) -> tuple[Facts, Ints]:
        """A fact for each time during which an event that is known is known to be positive, and the event's fact.

        No row sees its own, whatever the window: an answer has to do without it.
        """
        mine = ids.to_numpy()[self.facts.position]
        by_id = np.flatnonzero(pc.is_in(pa.array(mine, ids.type), pa.array(labels.ids, ids.type)))
        by_id = by_id[np.argsort(mine[by_id], kind="stable")]
        first, last = (np.searchsorted(mine[by_id], labels.ids, side) for side in ("left", "right"))
        label = np.repeat(np.arange(len(first)), last - first)
        fact = by_id[np.arange(len(label)) - np.repeat(np.cumsum(last - first) - last, last - first)]
        event = self.facts.take(fact)
        since, until = labels.since_us[label] - self.origin, labels.until_us[label] - self.origin
        since, until = np.maximum(event.since, since), np.minimum(event.until, until)
        return dataclasses.replace(event, since=since, until=until, itself=np.zeros_like(event.itself)), fact

    def spread(self, values: NDArray[Any], rows: int, otherwise: float) -> NDArray[np.float64]:
        """Values of the asking rows in the order that the partition has; `otherwise` for all its other rows."""
        result = np.full(rows, otherwise)
        result[self.position] = values
        return result


def entity_codes(events: pa.Table, entity: tuple[str, ...]) -> Ints:
    """[rows] a number for each entity, -1 where one of its columns is null."""
    code = np.zeros(events.num_rows, np.int64)
    for column in entity:
        one = pc.fill_null(pc.dictionary_encode(events[column].combine_chunks()).indices, -1).to_numpy()
        code = np.where((one < 0) | (code < 0), -1, code * (int(one.max(initial=0)) + 1) + one)
        if len(entity) > 1:
            values, code_of = np.unique(code, return_inverse=True)
            code = code_of - np.count_nonzero(values < 0)  # dense again, so that the next product fits
    return code


def _narrow(code: Ints) -> NDArray[Any]:
    """The codes in the type that sorts fastest: 16 bits are sorted by counting."""
    return code.astype(np.uint16) if int(code.max(initial=0)) < 2**16 else code


def micros(column: pa.ChunkedArray) -> Ints:
    """Timestamps as microseconds since 1970."""
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()


def _times(feature_set: FeatureSet, events: pa.Table) -> tuple[Ints, Ints]:
    return micros(events[feature_set.event_time]), micros(events[feature_set.known_time])


def _until(events: pa.Table, order: Ints) -> Ints:
    if UNTIL not in events.column_names:
        return np.full(len(order), NEVER_US)
    return events[UNTIL].to_numpy()[order]


def _rows_of_versions(ids: NDArray[Any], asks: Mask) -> Ints:
    """[M] the asking row that has the same id, -1 where none has."""
    rows = np.flatnonzero(asks)
    by_id = np.argsort(ids[rows], kind="stable")
    place = np.minimum(np.searchsorted(ids[rows], ids, sorter=by_id), max(len(rows) - 1, 0))
    found = by_id[place] if len(rows) else np.zeros(len(ids), np.int64)
    return np.where(ids[rows][found] == ids, found, -1) if len(rows) else np.full(len(ids), -1)


def _without_own(seen: Intervals, own: Ints) -> Intervals:
    """No fact is seen by the row of its own event: an interval that holds that row is cut in two."""
    cut = (seen.start <= own) & (own < seen.end)
    if not cut.any():
        return seen
    right = Intervals(own[cut] + 1, seen.end[cut], seen.fact[cut])
    return _both(Intervals(seen.start, np.where(cut, own, seen.end), seen.fact), right)


def _with_itself(seen: Intervals, facts: Facts) -> Intervals:
    """Each row sees itself as it asked: the interval that begins behind it begins with it, or it has one of its own."""
    itself, own = facts.itself[seen.fact], facts.own[seen.fact]
    begins = itself & (seen.start == own + 1) & (seen.start <= seen.end)
    joined = Intervals(np.where(begins, own, seen.start), seen.end, seen.fact)
    alone = np.flatnonzero(facts.itself)
    alone = np.setdiff1d(alone, seen.fact[begins], assume_unique=True) if begins.sum() < len(alone) else alone[:0]
    return _both(joined, Intervals(facts.own[alone], facts.own[alone] + 1, alone)) if len(alone) else joined


def _both(one: Intervals, other: Intervals) -> Intervals:
    pairs = zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True)
    return Intervals(*(np.concatenate(pair) for pair in pairs))
