"""Features of one event at a time, from state held in this process: the same numbers as offline, to the last bit.

State per entity: its events in the order of (time, id) with running integer sums, and those of them that a label called
positive (`history.py`). An event is answered by a few binary searches per window.

What is remembered goes by the stream's watermark: the greatest event time seen. Events up to twice the horizon (the
longest delay plus window) before it are, because an event that is late by up to the horizon looks back one horizon from
its own time; so whatever the order of arrival, such an event gets the offline numbers. One that is later still sees
what is remembered, and one from before all memory sees itself alone and is not kept.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import pyarrow as pa

from workbench.errors import InputError
from workbench.features import loading
from workbench.features.definitions import FeatureSet
from workbench.features.earlier import NO_CORRECTIONS, Bases, Earlier
from workbench.features.history import Asker, History
from workbench.features.labels import NEVER_US
from workbench.features.tables import NO_TABLES, Tables
from workbench.features.timeline import micros
from workbench.features.vector import Event, Place, Vector

Entities = tuple[Hashable, ...]
Labels = tuple[tuple[int, int], ...]  # (known time, label), ascending
SWEEP = 256  # expired events of one entity that are dropped together
TOGETHER = 32  # events that may be placed before the first of them is recorded


class OnlineState:
    """Feature state of one process. Times are int microseconds since 1970; entities are any hashable values."""

    together = TOGETHER

    def __init__(self, feature_set: FeatureSet, tables: Tables = NO_TABLES) -> None:
        self.feature_set, self._tables = feature_set, tables
        self._vector = Vector(feature_set, tables)
        self._plans, self._named, self._entities = self._vector.plans, self._vector.named, self._vector.entities
        self._histories: list[dict[Hashable, History]] = [{} for _ in self._plans]
        self._events: dict[Any, tuple[int, int, Entities]] = {}  # id -> time, known time and entities as it asked
        self._versions: dict[Any, list[tuple[int, int, Entities]]] = {}  # of corrected events: known, time, entities
        self._labels: dict[Any, Labels] = {}
        self._arrival: deque[Any] = deque()  # ids in the order of their arrival
        self._number: dict[Any, int] = {}  # of the events that came one by one
        self._earlier = Earlier(feature_set) if feature_set.sequence else None
        self._asked: dict[Any, tuple[Any, ...]] = {}  # for a sequence: what is kept of each event
        self._bases: dict[Any, Bases] = {}  # and what it shows of it, while nothing has come that would change it
        self._horizon_us, self._memory_us = feature_set.horizon_us, feature_set.memory_us
        self.clock = 0  # the stream's watermark: the greatest event time seen, in microseconds
        self.arrivals = 0  # the number of the newest event
        self._taken: list[tuple[Any, int]] = []  # the new ones of the events placed last, and the clock before each

    def __len__(self) -> int:
        oldest = self.clock - self._memory_us
        expired = itertools.takewhile(lambda identity: self._last(identity) < oldest, self._arrival)
        return len(self._events) - sum(1 for _ in expired)

    def time_of(self, identity: Any) -> int | None:
        """When an event happened; None when it is unknown here."""
        event = self._remembered(identity)
        return None if event is None else event[0]

    def known_from(self, identity: Any) -> int | None:
        """Since when an event is known; None when it is unknown here."""
        event = self._remembered(identity)
        return None if event is None else event[1]

    def observe(self, event: Event) -> list[float]:
        """The features of this event in model order; afterwards the event is in the state.

        An event whose id is in the state is not counted again: it gets the features of its own time once more.
        """
        return self.placed(event)[1]

    def claimed(self, identity: Any) -> str | None:
        """The other replica that may be about to record that event: there is none."""
        del identity
        return None

    def taken(self, event: Event, more: bool = False) -> tuple[Place, list[float]] | None:
        """What `placed` gives of a new event. None: it is in the state, or was forgotten; nothing has changed."""
        names = self.feature_set
        if event[names.id] in self._events or event[names.event_time] < self.clock - self._memory_us:
            return None
        return self.placed(event, more=more)

    def near(self, event: Event) -> bool:
        """Whether events like it may be placed together: however they move the clock, none is late for another."""
        return abs(event[self.feature_set.event_time] - self.clock) <= self._horizon_us // 2

    def placed(self, event: Event, arrival: int | None = None, more: bool = False) -> tuple[Place, list[float]]:
        """What `observe` gives, and its place. `arrival` is the number that the event got when it came first.

        `more`: it is taken back together with those that were placed before it; all of them were `near` before that.
        """
        names = self.feature_set
        if not more:
            self._taken.clear()
        time, identity = event[names.event_time], event[names.id]
        if late := time < self.clock - self._horizon_us:
            if time < self.clock - self._memory_us:
                return Place(self.arrivals, self.arrivals), alone(names, self._tables, event)
            self._forget(self._entities(event), at_least=1)
        vector = self._vector.of_row(event)  # before the event is kept: a function of the user's may raise
        if is_new := identity not in self._events:
            clock = self.clock
            self._insert(event, time, identity)
            self._taken.append((identity, clock))
            self._number[identity] = arrival or self.arrivals + 1
            self.arrivals = max(self.arrivals, self._number[identity])
        found = [kept.get(named(event)) for named, kept in zip(self._named, self._histories, strict=True)]
        place, asker = Place(self._number.get(identity, 0), self.arrivals), Asker(time, identity, self._labels)
        vector = self._vector.looking_back(vector, event, asker, found)
        if self._earlier:
            if is_new and not late:
                self._bases[identity] = self._earlier.bases(vector)
            if (history := found[self._earlier.plan]) is not None:
                self._earlier.fill(vector, asker, history, partial(self._bases_of, self._earlier, late))
        return place, vector

    def peeked(self, event: Event) -> list[float]:
        """The features that the event would get now; nothing has changed afterwards."""
        arrivals = self.arrivals
        try:
            return self.observe(event)
        finally:
            self.take_back()
            self.arrivals = arrivals

    def take_back(self) -> None:
        """Be as before the last event was placed, if that was new: it is not recorded. Its number is not reused."""
        while self._taken:
            identity, self.clock = self._taken.pop()
            self._take_back(identity)

    def _take_back(self, identity: Any) -> None:
        time, _, entities = self._events.pop(identity)
        for histories, value in zip(self._histories, entities, strict=True):
            if value is not None and histories[value].remove(time, identity):
                del histories[value]
        self._arrival.pop()
        for kept in (self._number, self._asked, self._bases):
            kept.pop(identity, None)
        if self._earlier:
            self._outdate(entities, time)

    def label(self, identity: Any, positive: bool, known_time_us: int) -> bool:
        """Take in a label; False when the event is unknown here, or longer ago than what is remembered."""
        if self._remembered(identity) is None:
            return False
        before = self._labels.get(identity, ())
        after = told(before, known_time_us, positive)
        if after is not before:
            self._labels[identity] = after
            if self._earlier:
                self._outdate(self._events[identity][2], known_time_us)
            if positive and not any(label for _, label in before):
                self._mark(identity)
        return True

    def correct(self, identity: Any, event: Event | None, known_time_us: int) -> bool:
        """Take in a later version of an event, or its deletion (None); False when the event is unknown here.

        `known_time_us` must not be before the event was known. Of two known at one time the one told last counts.
        """
        if self._earlier:
            raise InputError(NO_CORRECTIONS)
        asked = self._remembered(identity)
        if asked is None:
            return False
        versions = self._versions.setdefault(identity, [(asked[1], asked[0], asked[2])])
        number = bisect_right(versions, known_time_us, key=_first)
        until = versions[number][0] if number < len(versions) else NEVER_US
        time, entities = (0, ()) if event is None else (event[self.feature_set.event_time], self._entities(event))
        if number:
            self._end(identity, versions[number - 1], known_time_us)
        versions.insert(number, (known_time_us, time, entities))
        if event is not None:
            self._keep(event, time, identity, known_time_us, until)
            if any(label for _, label in self._labels.get(identity, ())) and asked[2] + (asked[0],) != (
                *entities,
                time,
            ):
                self._mark_in(entities, time, identity)
        return True

    def fill_once(self, fill: Callable[["OnlineState"], None]) -> None:
        """Fill the state: it is nobody else's, so nobody else has filled it."""
        fill(self)

    def load(self, events: pa.Table, labels: pa.Table) -> None:
        """Fill an empty state from history, whole columns at a time. `labels` are ledger rows, in any order."""
        names = self.feature_set
        times, known = micros(events[names.event_time]).tolist(), micros(events[names.known_time]).tolist()
        ids = events[names.id].to_pylist()
        columns = [list(loading.entity_values(events, entity)) for entity in names.entities]
        rows = zip(*columns, strict=True) if columns else [()] * len(ids)
        self._events = dict(zip(ids, zip(times, known, rows, strict=True), strict=True))
        if self._earlier:
            self._asked = dict(
                zip(ids, map(self._earlier.pack, loading.plain(events.select(self._earlier.kept))), strict=True)
            )
        self._arrival = deque(ids)
        self.clock = max(times, default=0)
        self._histories = [loading.histories(names, plan, events) for plan in self._plans]
        self._load_labels(labels)

    def _remembered(self, identity: Any) -> tuple[int, int, Entities] | None:
        event = self._events.get(identity)
        return None if event is None or self._last(identity) < self.clock - self._memory_us else event

    def _insert(self, event: Event, time: int, identity: Any) -> None:
        known = event.get(self.feature_set.known_time)
        known = time if known is None else known
        if not self._taken:  # as of the events before: those may be taken back, what they expire could not
            self._expire()
        entities = self._keep(event, time, identity, known, NEVER_US)
        self._events[identity] = (time, known, entities)
        if self._earlier:
            self._asked[identity] = self._earlier.pack(event)
            self._outdate(entities, time)
        self._arrival.append(identity)
        self.clock = max(self.clock, time)

    def _keep(self, event: Event, time: int, identity: Any, known: int, until: int) -> Entities:
        """Add a version to the histories of its entities."""
        entities = self._entities(event)
        for plan, histories, value in zip(self._plans, self._histories, entities, strict=True):
            if value is None:
                continue
            history = histories.get(value)
            if history is None:
                history = histories[value] = plan.empty()
            sums, values = [one.one(event) for one in plan.sums], [one.one(event) for one in plan.values]
            history.insert(time, identity, known, until, sums, values)
        return entities

    def _end(self, identity: Any, version: tuple[int, int, Entities], until: int) -> None:
        known, time, entities = version
        for histories, value in zip(self._histories, entities, strict=False):
            if value is not None and value in histories:
                histories[value].end(time, identity, known, until)

    def _expire(self) -> None:
        oldest = self.clock - self._memory_us
        while self._arrival and self._last(self._arrival[0]) < oldest:
            identity = self._arrival.popleft()
            _, _, entities = self._events.pop(identity)
            self._labels.pop(identity, None)
            self._number.pop(identity, None)
            self._versions.pop(identity, None)
            self._asked.pop(identity, None)
            self._bases.pop(identity, None)
            self._forget(entities, at_least=SWEEP)

    def _last(self, identity: Any) -> int:
        """The latest time that any version of an event has: until it is forgotten, its labels and versions count."""
        time = self._events[identity][0]
        versions = self._versions.get(identity)
        return time if versions is None else max(time, *(at for _, at, _ in versions))

    def _forget(self, entities: Entities, at_least: int) -> None:
        """Forget what these entities did before all memory, if that is all of it or so many events."""
        oldest = self.clock - self._memory_us
        for histories, value in zip(self._histories, entities, strict=True):
            if value in histories and histories[value].forget(oldest, at_least):
                del histories[value]

    def _bases_of(self, earlier: Earlier, late: bool, identity: Any) -> Bases:
        """What a sequence shows of an event; `late`: from no more than what is remembered."""
        if not late and (made := self._bases.get(identity)) is not None:
            return made
        event, (time, _, entities) = earlier.unpack(self._asked[identity]), self._events[identity]
        if late:
            self._forget(entities, at_least=1)
        found = [kept.get(value) for value, kept in zip(entities, self._histories, strict=True)]
        asker = Asker(time, identity, self._labels)
        made = earlier.bases(self._vector.looking_back(self._vector.of_row(event), event, asker, found))
        if not late:
            self._bases[identity] = made
        return made

    def _outdate(self, entities: Entities, since_us: int) -> None:
        """What was made of events of these entities from then on, which may see what has come now, is made again."""
        for value, histories in zip(entities, self._histories, strict=True):
            if history := histories.get(value):
                for identity in history.ids[bisect_left(history.time, since_us) :]:
                    self._bases.pop(identity, None)

    def _mark(self, identity: Any) -> None:
        time, _, entities = self._events[identity]
        places = {(time, entities)} | {(t, e) for _, t, e in self._versions.get(identity, ())}
        for at, named in places:
            self._mark_in(named, at, identity)

    def _mark_in(self, entities: Entities, time: int, identity: Any) -> None:
        for plan, histories, value in zip(self._plans, self._histories, entities, strict=False):
            if plan.labelled and value in histories:
                histories[value].mark(time, identity)

    def _load_labels(self, labels: pa.Table) -> None:
        keys = [(self.feature_set.id, "ascending"), ("known_time", "ascending"), ("recorded_at", "ascending")]
        ordered = labels.select([name for name, _ in keys] + ["label"]).sort_by(keys)
        ids, known = ordered[self.feature_set.id].to_pylist(), micros(ordered["known_time"]).tolist()
        for identity, said in zip(ids, zip(known, ordered["label"].to_pylist(), strict=True), strict=True):
            if identity in self._events:
                self._labels[identity] = (*self._labels.get(identity, ()), said)
        for identity, history in self._labels.items():
            if any(label for _, label in history):
                self._mark(identity)


def alone(feature_set: FeatureSet, tables: Tables, event: Event) -> list[float]:
    """The features of an event of which nothing before is known."""
    state = OnlineState(feature_set, tables)
    state.clock = event[feature_set.event_time]  # else one from long before 1970 were forgotten here too
    return state.observe(event)


def told(before: Labels, known_time_us: int, positive: bool) -> Labels:
    """The labels of an event with one more; of two known at one time the one told last counts.

    The very same where it repeats the newest.
    """
    said = (known_time_us, int(positive))
    place = bisect_right(before, known_time_us, key=_first)
    return before if place and before[place - 1] == said else (*before[:place], said, *before[place:])


def _first(one: tuple[Any, ...]) -> Any:
    return one[0]
