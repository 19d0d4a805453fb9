"""Features of one event at a time, from state held in this process: the same numbers as offline, to the last bit.

State per entity: its events in the order of (time, id) with running integer sums, and those of them that a label called
positive. An event is answered by a few binary searches per window.

What is remembered goes by the stream's watermark: the greatest event time seen. Events up to twice the horizon (the
longest delay plus window) before it are, because an event that is late by up to the horizon looks back one horizon from
its own time; so whatever the order of arrival, such an event gets the offline numbers. One that is later still sees
what is remembered, and one from before all memory sees itself alone and is not kept.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.features import offline
from workbench.features.definitions import WINDOW_KINDS, FeatureSet
from workbench.features.rows import row_function

Event = Mapping[str, Any]
SWEEP = 256  # expired events of one entity that are dropped together


@dataclass(slots=True)
class History:
    """What is remembered of one entity: H events in the order of (time, id), P of them called positive at some time."""

    time: list[int] = field(default_factory=list)  # [H] us
    ids: list[Any] = field(default_factory=list)  # [H]
    known: list[int] = field(default_factory=list)  # [H] us
    sums: dict[str, list[int]] = field(default_factory=dict)  # column -> [H + 1] running sums
    late: int = 0  # how many events were known only after they had happened
    positive_time: list[int] = field(default_factory=list)  # [P] us
    positive_ids: list[Any] = field(default_factory=list)  # [P]

    def place(self, time: int, identity: Any) -> int:
        """Where an event is, or would be, among the events."""
        return _place(self.time, self.ids, time, identity)


class OnlineState:
    """Feature state of one process. Times are int microseconds since 1970; entities are any hashable values."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.feature_set = feature_set
        windowed = [feature for feature in feature_set.features if feature.kind in WINDOW_KINDS]
        self._columns = tuple(dict.fromkeys(str(f.column) for f in windowed if f.column))
        self._labelled = tuple(dict.fromkeys(f.entity for f in windowed if f.kind == "known_positive_rate"))
        self._row = [(i, row_function(f, feature_set)) for i, f in enumerate(feature_set.features) if f.entity is None]
        self._windows = _by_window(feature_set)
        self._histories: dict[str, dict[Hashable, History]] = {entity: {} for entity in feature_set.entities}
        self._events: dict[Any, tuple[int, tuple[Hashable, ...]]] = {}  # id -> time and entities
        self._labels: dict[Any, tuple[tuple[int, int], ...]] = {}  # id -> ((known time, label), ...), ascending
        self._arrival: deque[Any] = deque()  # ids in the order of their arrival
        self._horizon_us, self._memory_us = feature_set.horizon_us, feature_set.memory_us
        self.clock = 0  # the stream's watermark: the greatest event time seen, in microseconds

    def __len__(self) -> int:
        return len(self._events)

    def time_of(self, identity: Any) -> int | None:
        """When an event happened; None when it is unknown here."""
        event = self._remembered(identity)
        return None if event is None else event[0]

    def load(self, events: pa.Table, labels: pa.Table) -> None:
        """Fill an empty state from history, whole columns at a time. `labels` are ledger rows, in any order."""
        names = self.feature_set
        time = offline.micros(events[names.event_time]).tolist()
        ids = events[names.id].to_pylist()
        entities = [events[entity].to_pylist() for entity in names.entities]
        rows: Iterable[tuple[Hashable, ...]] = zip(*entities, strict=True) if entities else [()] * len(ids)
        self._events = dict(zip(ids, zip(time, rows, strict=True), strict=True))
        self._arrival = deque(ids)
        self.clock = max(time, default=0)
        for entity in names.entities:
            self._histories[entity] = _histories(names, entity, events, self._columns)
        self._load_labels(labels)

    def observe(self, event: Event) -> list[float]:
        """The features of this event in model order; afterwards the event is in the state.

        An event whose id is in the state is not counted again: it gets the features of its own time once more.
        """
        names = self.feature_set
        time, identity = event[names.event_time], event[names.id]
        if time < self.clock - self._horizon_us:
            if time < self.clock - self._memory_us:
                return OnlineState(names).observe(event)
            self._drop(event, self.clock - self._memory_us, at_least=1)
        if identity not in self._events:
            self._insert(event, time, identity)
        vector = [0.0] * len(names.features)
        for index, function in self._row:
            vector[index] = function(event)
        for entity, windows in self._windows.items():
            history = self._histories[entity].get(event[entity])
            if history is not None:
                self._fill(vector, history, windows, time, identity)
        return vector

    def label(self, identity: Any, positive: bool, known_time_us: int) -> bool:
        """Take in a label; False when the event is unknown here, or longer ago than what is remembered."""
        event = self._remembered(identity)
        if event is None:
            return False
        said = (known_time_us, int(positive))
        before = self._labels.get(identity, ())
        # of two labels known at one time the one told last counts; a repeat of the newest changes nothing
        place = bisect_right(before, known_time_us, key=_known)
        if place == 0 or before[place - 1] != said:
            self._labels[identity] = (*before[:place], said, *before[place:])
            if positive and not any(label for _, label in before):
                self._mark(identity, *event)
        return True

    def _remembered(self, identity: Any) -> tuple[int, tuple[Hashable, ...]] | None:
        event = self._events.get(identity)
        return None if event is None or event[0] < self.clock - self._memory_us else event

    def _fill(self, vector: list[float], history: History, windows: "list[Window]", time: int, identity: Any) -> None:
        for window in windows:
            low, high = window.rows(history, time, identity)
            hidden = _unknown(history, low, high, time, identity) if history.late else ()
            count = high - low - len(hidden)
            for index, kind, column in window.features:
                if kind == "count":
                    vector[index] = float(count)
                elif kind == "known_positive_rate":
                    positives = self._positives(window, history, time, identity)
                    if hidden:
                        positives -= sum(self._positive(history.ids[row], time) for row in hidden)
                    vector[index] = positives / count if count else 0.0
                else:
                    sums = history.sums[column]
                    total = sums[high] - sums[low]
                    if hidden:  # an empty sum takes longer than all the rest
                        total -= sum(sums[row + 1] - sums[row] for row in hidden)
                    vector[index] = float(total) if kind == "sum" else float(total) / count if count else 0.0

    def _positives(self, window: "Window", history: History, time: int, identity: Any) -> int:
        """How many events in the window were called positive by `time`, whether or not they were known themselves."""
        low = bisect_right(history.positive_time, time - window.delay_us - window.length_us)
        high = window.end(history.positive_time, history.positive_ids, time, identity)
        count = 0
        for one in history.positive_ids[low:high]:
            said = self._labels[one]
            if said[0][0] <= time:
                newest = said[0] if len(said) == 1 else said[bisect_right(said, time, key=_known) - 1]
                count += newest[1]
        return count

    def _positive(self, identity: Any, time: int) -> int:
        """Whether an event was known to be positive at `time`."""
        said = [label for known, label in self._labels.get(identity, ()) if known <= time]
        return said[-1] if said else 0

    def _insert(self, event: Event, time: int, identity: Any) -> None:
        names = self.feature_set
        known = event.get(names.known_time)
        known = time if known is None else known
        for entity in names.entities:
            history = self._histories[entity].get(event[entity])
            if history is None:
                history = self._histories[entity][event[entity]] = History(sums={c: [0] for c in self._columns})
            _add(history, event, time, identity, known)
        self._events[identity] = (time, tuple(event[entity] for entity in names.entities))
        self._arrival.append(identity)
        self.clock = max(self.clock, time)
        self._expire()

    def _expire(self) -> None:
        oldest = self.clock - self._memory_us
        while self._arrival and self._events[self._arrival[0]][0] < oldest:
            identity = self._arrival.popleft()
            _, entities = self._events.pop(identity)
            self._labels.pop(identity, None)
            self._drop(dict(zip(self.feature_set.entities, entities, strict=True)), oldest, at_least=SWEEP)

    def _drop(self, entities: Mapping[str, Hashable], oldest: int, at_least: int) -> None:
        """Forget what these entities did before `oldest`, if that is all of it or so many events."""
        for entity in self.feature_set.entities:
            history = self._histories[entity].get(entities[entity])
            if history is None:
                continue
            expired = bisect_left(history.time, oldest)
            if expired == len(history.time):
                del self._histories[entity][entities[entity]]
            elif expired >= at_least:
                _forget(history, expired)
            positives = bisect_left(history.positive_time, oldest)
            del history.positive_time[:positives], history.positive_ids[:positives]

    def _mark(self, identity: Any, time: int, entities: tuple[Hashable, ...]) -> None:
        for entity, value in zip(self.feature_set.entities, entities, strict=True):
            history = self._histories[entity].get(value)
            if entity in self._labelled and history is not None:
                place = _place(history.positive_time, history.positive_ids, time, identity)
                history.positive_time.insert(place, time)
                history.positive_ids.insert(place, identity)

    def _load_labels(self, labels: pa.Table) -> None:
        keys = [(self.feature_set.id, "ascending"), ("known_time", "ascending"), ("recorded_at", "ascending")]
        ordered = labels.select([name for name, _ in keys] + ["label"]).sort_by(keys)
        ids, known = ordered[self.feature_set.id].to_pylist(), offline.micros(ordered["known_time"]).tolist()
        for identity, said in zip(ids, zip(known, ordered["label"].to_pylist(), strict=True), strict=True):
            if identity in self._events:
                self._labels[identity] = (*self._labels.get(identity, ()), said)
        for identity, history in self._labels.items():
            if any(label for _, label in history):
                self._mark(identity, *self._events[identity])


@dataclass(frozen=True)
class Window:
    """The features that share a window: their places in the vector, kinds and columns."""

    length_us: int
    delay_us: int
    current_row: bool
    features: tuple[tuple[int, str, str], ...]

    def rows(self, history: History, time: int, identity: Any) -> tuple[int, int]:
        """The first event in the window and the first behind it."""
        low = bisect_right(history.time, time - self.delay_us - self.length_us)
        return low, max(low, self.end(history.time, history.ids, time, identity))

    def end(self, times: list[int], ids: list[Any], time: int, identity: Any) -> int:
        """The first of the ordered (time, id) pairs that lies behind the window."""
        if self.delay_us:
            return bisect_right(times, time - self.delay_us)
        place = _place(times, ids, time, identity)
        here = self.current_row and place < len(ids) and ids[place] == identity
        return place + 1 if here else place


def _by_window(feature_set: FeatureSet) -> dict[str, list[Window]]:
    windows: dict[str, list[Window]] = {}
    for entity in feature_set.entities:
        shared: dict[tuple[int, int, bool], list[tuple[int, str, str]]] = {}
        for index, feature in enumerate(feature_set.features):
            if feature.entity == entity:
                key = (feature.window_us, feature.delay_us, feature.current_row)
                shared.setdefault(key, []).append((index, feature.kind, str(feature.column)))
        windows[entity] = [Window(*key, tuple(features)) for key, features in shared.items()]
    return windows


def _place(times: list[int], ids: list[Any], time: int, identity: Any) -> int:
    """Where (time, id) is, or would be, in two lists that are ordered by it."""
    place = bisect_left(times, time)
    while place < len(times) and times[place] == time and ids[place] < identity:
        place += 1
    return place


def _known(said: tuple[int, int]) -> int:
    return said[0]


def _unknown(history: History, low: int, high: int, time: int, identity: Any) -> list[int]:
    """The events of a window that were not known by `time`; the asking event always knows itself."""
    return [row for row in range(low, high) if history.known[row] > time and history.ids[row] != identity]


def _add(history: History, event: Event, time: int, identity: Any, known: int) -> None:
    place = history.place(time, identity)
    history.time.insert(place, time)
    history.ids.insert(place, identity)
    history.known.insert(place, known)
    history.late += known > time
    for column, sums in history.sums.items():
        value = event[column] or 0
        sums.insert(place + 1, sums[place] + value)
        for later in range(place + 2, len(sums)):
            sums[later] += value


def _forget(history: History, count: int) -> None:
    history.late -= sum(known > time for known, time in zip(history.known[:count], history.time[:count], strict=True))
    del history.time[:count], history.ids[:count], history.known[:count]
    for sums in history.sums.values():
        del sums[:count]


def _histories(
    feature_set: FeatureSet, entity: str, events: pa.Table, columns: tuple[str, ...]
) -> dict[Hashable, History]:
    """The histories of all entities in a table: sorted once, then cut where the entity changes."""
    rows = offline.SortedRows.of(feature_set, entity, events)
    cuts = np.flatnonzero(np.diff(rows.entity, prepend=-1, append=-1)).tolist() if len(rows.order) else [0]
    time, known = (rows.time + rows.origin).tolist(), (rows.known + rows.origin).tolist()
    ids, values = rows.ids.tolist(), events[entity].take(pa.array(rows.order[cuts[:-1]])).to_pylist()
    running = {c: np.append(0, np.cumsum(offline.integers(events[c])[rows.order])).tolist() for c in columns}
    late = np.append(0, np.cumsum(rows.known > rows.time)).tolist()
    return {
        value: History(
            time[a:b], ids[a:b], known[a:b], {c: sums[a : b + 1] for c, sums in running.items()}, late[b] - late[a]
        )
        for value, a, b in zip(values, cuts[:-1], cuts[1:], strict=True)
    }
