"""The feature state in Redis, shared by any number of replicas: the same numbers as in process, to the last bit.

An event costs one round trip: one script adds it to the histories of its entities and gives back what its windows look
at (`redis_scripts.py`). The features are then made by the code that makes them in process. What is remembered goes by
the stream's watermark, which lies in Redis as well. Labels and corrections, which are rare, read the event's record,
and write only if nobody else has changed it meanwhile.

An event reads every version of its entities within the longest window: hundreds are nothing, ten thousands too many.
"""

import contextlib
import itertools
import secrets
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from workbench.errors import InputError, StateUnavailable
from workbench.features import redis_scripts as scripts
from workbench.features.definitions import FeatureSet
from workbench.features.earlier import NO_CORRECTIONS, Bases, Earlier
from workbench.features.history import Asker, History
from workbench.features.labels import NEVER_US
from workbench.features.online import OnlineState, alone, told
from workbench.features.redis_link import Link
from workbench.features.redis_records import Layout, Record, decode, encode, ended, read_record
from workbench.features.tables import NO_TABLES, Tables
from workbench.features.vector import Event, Place, Vector

Keys = tuple[str | None, ...]  # of the entities of an event; None for one that is not named in full
Said = dict[Any, Any]  # id -> its labels
Histories = list[History | None]  # one per plan
Change = tuple[str, int | str, bytes]  # key, score (none: remove), member
TOGETHER = 2000  # members of one command when a history is loaded


class RedisState:
    """What `OnlineState` is, for all who share it. `name` and the definitions' digest tell one state from another."""

    together = 1  # events that may be placed before the first is recorded: a dead replica's last one is taken back

    def __init__(self, feature_set: FeatureSet, url: str, name: str, tables: Tables = NO_TABLES) -> None:
        self.feature_set, self._tables = feature_set, tables
        self.clock = 0  # the stream's watermark when this replica last looked
        self._vector = Vector(feature_set, tables)
        self._earlier = Earlier(feature_set) if feature_set.sequence else None
        shows = {self._earlier.plan: self._earlier.sequence.window} if self._earlier else {}
        self._layouts = [Layout(plan, shows.get(number)) for number, plan in enumerate(self._vector.plans)]
        self._link = Link(url, f"{name}:{feature_set.digest}")
        self.replica = secrets.token_hex(8)  # its name among those who share the state
        self._calls = itertools.count(1)
        self._place: list[int] = []  # of the event that was observed last
        self._call, self._doubtful = 0, 0  # of `placed`: the last one, and one that may have to be taken back (0: none)

    def fill_once(self, fill: Callable[[OnlineState], None]) -> None:
        """Be one of those who share the state; the first of them fills it, in process, and writes it as a whole.

        Nothing else may be asked before. Whoever comes while it is being filled waits.
        """

        def write() -> None:
            filled = OnlineState(self.feature_set, self._tables)
            fill(filled)
            self._write(filled)

        self._doubtful = 0
        self._link.fill_once(write)

    def __len__(self) -> int:
        return self._look(None)[0]

    def time_of(self, identity: Any) -> int | None:
        """When an event happened; None when it is unknown here."""
        held = self._held(identity)
        return None if held is None else held[1].time

    def known_from(self, identity: Any) -> int | None:
        """Since when an event is known; None when it is unknown here."""
        held = self._held(identity)
        return None if held is None else held[1].known

    def observe(self, event: Event) -> list[float]:
        """The features of this event in model order; afterwards the event is in the state.

        An event whose id is in the state is not counted again: it gets the features of its own time once more.
        """
        return self.placed(event)[1]

    def placed(self, event: Event) -> tuple[Place, list[float]]:
        """What `observe` gives, and its place: read, insertion and number are one act."""
        found = self._observed(event, scripts.ANY)
        if found is None:  # from before all memory
            return Place(*self._place), alone(self.feature_set, self._tables, event)
        return found

    def taken(self, event: Event, more: bool = False) -> tuple[Place, list[float]] | None:
        """What `placed` gives of a new event. None: it is in the state, or was forgotten; nothing has changed."""
        assert not more, "each is taken back alone: `together` is 1"
        return self._observed(event, scripts.NEW)

    def near(self, event: Event) -> bool:
        """Whether events like it may be placed together: none may."""
        del event
        return False

    def peeked(self, event: Event) -> list[float]:
        """The features that the event would get now; nothing has changed afterwards, for anyone."""
        found = self._observed(event, scripts.PEEK)
        return alone(self.feature_set, self._tables, event) if found is None else found[1]

    def claimed(self, identity: Any) -> str | None:
        """The other replica that has taken in that event last: it may be about to record it, or be dead."""
        said: Any = self._link.ask(partial(self._link.redis.hgetall, self._link.key("meta")))
        taken = ((name.decode().removeprefix("taken:"), value.split(b" ", 2)[-1]) for name, value in said.items())
        others = (name for name, value in taken if value == encode(identity) and name != self.replica)
        return next(others, None)

    def _observed(self, event: Event, how: str) -> tuple[Place, list[float]] | None:
        self._call, names, link = next(self._calls), self.feature_set, self._link
        time, identity, known = event[names.event_time], event[names.id], event.get(names.known_time)
        known = time if known is None else known
        vector = self._vector.of_row(event)  # before the event is kept: a function of the user's may raise
        entities = self._keys(event)
        named = [(layout, key) for layout, key in zip(self._layouts, entities, strict=True) if key is not None]
        looks: list[Any] = []
        for layout, _ in named:
            version = layout.version(event, time, identity, known, 0, NEVER_US)
            looks += (version, time - layout.reach_us + 1, time - layout.delay_us, int(layout.labelled))
        record = Record(0, time, known, entities, kept=self._earlier.pack(event) if self._earlier else None)
        said = (time, names.memory_us, encode(identity), encode(record), link.prefix, _taken(self.replica), self._call)
        looks += self._looks_back(entities, time)
        self.settle()
        try:
            answer = link.run(scripts.OBSERVE, [link.key(key) for _, key in named], *said, *looks, how)
        except StateUnavailable:
            self._doubtful = self._call  # it may have been taken in all the same
            raise
        self.clock, *self._place, found = decode(answer)
        if found is None:
            return None
        return Place(*self._place), self._answered(vector, event, Asker(time, identity, {}), entities, found)

    def take_back(self) -> None:
        """Be as before the last event was placed, if that was new: it is not recorded. Its number is not reused.

        Where Redis is away it is made up for before the next event, by `settle`, or by who finds this replica dead.
        """
        self._doubtful = self._call
        with contextlib.suppress(StateUnavailable):
            self.settle()

    def settle(self) -> None:
        """Take back what could not be taken back when it had to be."""
        if call := self._doubtful:
            self.take_back_of(self.replica, call)
            self._doubtful = 0

    def taken_last(self, replica: str) -> tuple[Any, int] | None:
        """The event that a replica took in last, and in which call; None where nothing is to be taken back of it."""
        read = partial(self._link.redis.hget, self._link.key("meta"), _taken(replica))
        said: Any = self._link.ask(read)
        if said is None:
            return None
        call, _, identity = said.split(b" ", 2)
        return decode(identity), int(call)

    def take_back_of(self, replica: str, call: int) -> bool:
        """Take out of the state what a replica took in, in that call, unless somebody has asked it again since."""
        said = (self._link.prefix, _taken(replica), call)
        return self._link.run(scripts.TAKE_BACK, (), *said) == 1

    def forget_replica(self, replica: str) -> None:
        """Forget what a replica took in last: it is recorded."""
        self._link.ask(partial(self._link.redis.hdel, self._link.key("meta"), _taken(replica)))

    def label(self, identity: Any, positive: bool, known_time_us: int) -> bool:
        """Take in a label; False when the event is unknown here, or longer ago than what is remembered."""
        while (held := self._held(identity)) is not None:
            read, before = held
            labels = told(before.labels, known_time_us, positive)
            if labels is before.labels:
                return True
            after = msgspec.structs.replace(before, labels=labels)
            if self._swapped(identity, read, after, self._marks(identity, before, after)):
                return True
        return False

    def correct(self, identity: Any, event: Event | None, known_time_us: int) -> bool:
        """Take in a later version of an event, or its deletion (None); False when the event is unknown here."""
        if self._earlier:
            raise InputError(NO_CORRECTIONS)
        while (held := self._held(identity)) is not None:
            read, before = held
            versions = before.versions or ((before.known, before.time, before.entities),)
            number = bisect_right(versions, known_time_us, key=lambda version: version[0])
            until = versions[number][0] if number < len(versions) else NEVER_US
            time, entities = (0, ()) if event is None else (event[self.feature_set.event_time], self._keys(event))
            said = (known_time_us, time, entities)
            after = msgspec.structs.replace(before, versions=(*versions[:number], said, *versions[number:]))
            changes = list(self._ends(identity, versions[number - 1], known_time_us)) if number else []
            if event is not None:
                for layout, key in zip(self._layouts, entities, strict=True):
                    if key is not None:
                        version = layout.version(event, time, identity, known_time_us, len(versions), until)
                        changes.append((key, time, version))
                changes += self._marks(identity, before, after)
            if self._swapped(identity, read, after, changes):
                return True
        return False

    def load(self, events: pa.Table, labels: pa.Table) -> None:
        """Fill an empty state from history, whole columns at a time. `labels` are ledger rows, in any order."""
        loaded = OnlineState(self.feature_set, self._tables)
        loaded.load(events, labels)
        self._write(loaded)

    def _write(self, filled: OnlineState) -> None:
        self._link.write(self._commands(filled))
        self.clock = filled.clock

    def _keys(self, event: Event) -> Keys:
        return _named(self._vector.entities(event))

    def _answered(
        self, vector: list[float], event: Event, asker: Asker, entities: Keys, found: list[Any]
    ) -> list[float]:
        parts, said = iter(found), dict[Any, Any]()
        histories, asker = self._histories(entities, parts, said, {}), asker._replace(said=said)
        vector = self._vector.looking_back(vector, event, asker, histories)
        if (earlier := self._earlier) and (mine := histories[earlier.plan]) is not None:
            held = dict(self._shown(earlier, parts, said, mine))
            return earlier.fill(vector, asker, mine, lambda identity: self._bases(earlier, identity, held, said))
        return vector

    def _histories(self, entities: Keys, parts: Iterator[Any], said: Said, known: dict[int, History]) -> Histories:
        """The next parts of an answer as histories, but for those that are known; their labels go to the others."""
        histories: Histories = []
        for number, (layout, key) in enumerate(zip(self._layouts, entities, strict=True)):
            if key is None or number in known:
                histories.append(known.get(number))
                continue
            versions, positives = next(parts), next(parts) if layout.labelled else []
            said.update((identity, labels) for _, identity, labels in positives)
            histories.append(layout.history(versions, positives))
        return histories

    def _looks_back(self, entities: Keys, time: int) -> list[Any]:
        """What the script is told of the sequence."""
        if (earlier := self._earlier) is None or entities[earlier.plan] is None:
            return [0] * 5
        sequence, place = earlier.sequence, sum(key is not None for key in entities[: earlier.plan])
        window = time - sequence.window.reach_us + 1, time - sequence.window.delay_us
        reach = ((layout.reach_us, layout.delay_us, int(layout.labelled)) for layout in self._layouts)
        return [4 + place, sequence.events, *window, earlier.plan + 1, *itertools.chain.from_iterable(reach)]

    def _shown(
        self, earlier: Earlier, parts: Iterator[Any], said: Said, mine: History
    ) -> Iterator[tuple[Any, tuple[Event, int, Histories]]]:
        """The rest of an answer: the earlier events by id, with what their entities did."""
        for record in parts:
            event = earlier.unpack(record[6])
            histories = self._histories(tuple(record[3]), parts, said, {earlier.plan: mine})
            yield event[self.feature_set.id], (event, record[1], histories)

    def _bases(self, earlier: Earlier, identity: Any, held: dict[Any, Any], said: Said) -> Bases:
        event, time, histories = held[identity]
        asker = Asker(time, identity, said)
        return earlier.bases(self._vector.looking_back(self._vector.of_row(event), event, asker, histories))

    def _look(self, identity: Any) -> tuple[int, bytes | None]:
        """How many events are remembered, and the record of one."""
        clock, count, record = self._link.run(scripts.LOOK, (), self.feature_set.memory_us, encode(identity))
        self.clock = int(clock)
        return count, record

    def _held(self, identity: Any) -> tuple[bytes, Record] | None:
        """The record of an event that is remembered."""
        _, read = self._look(identity)
        if read is None or (record := read_record(read)).last < self.clock - self.feature_set.memory_us:
            return None
        return read, record

    def _swapped(self, identity: Any, read: bytes, after: Record, changes: Iterable[Change]) -> bool:
        """Whether the record was still what was read, and so all changes were made."""
        listed = [(self._link.key(key), score, member) for key, score, member in changes]
        said = [one for _, *pair in listed for one in pair]
        keys = [key for key, *_ in listed]
        return self._link.run(scripts.SWAP, keys, encode(identity), read, encode(after), after.last, *said) == 1

    def _marks(self, identity: Any, before: Record, after: Record) -> Iterator[Change]:
        """The labels of an event that was ever called positive, at all of its places."""
        for record, write in ((before, False), (after, True)):
            for time, entities in record.places if record.positive else ():
                for layout, key in zip(self._layouts, entities, strict=False):
                    if layout.labelled and key is not None:
                        yield key + "+", time if write else "", encode((time, identity, record.labels))

    def _ends(self, identity: Any, version: tuple[int, int, Keys], until: int) -> Iterator[Change]:
        known, time, entities = version
        for key in filter(None, entities):
            read = partial(self._link.redis.zrangebyscore, self._link.key(key), time, time)
            for member in self._link.ask(read):
                if (other := ended(member, identity, known, until)) is not None:
                    yield key, "", member
                    yield key, time, other

    def _commands(self, filled: OnlineState) -> Iterator[list[Any]]:
        """What writes all that another state remembers."""
        oldest, key = filled.clock - self.feature_set.memory_us, self._link.key
        for number, (layout, histories) in enumerate(zip(self._layouts, filled._histories, strict=True)):
            for entity, history in histories.items():
                if not history.forget(oldest, at_least=1):
                    name, labels = _key(number, entity), filled._labels
                    yield from _added(key(name), history.time, layout.versions(history))
                    marks = zip(history.positive_time, history.positive_ids, strict=True)
                    members = (encode((time, identity, labels[identity])) for time, identity in marks)
                    yield from _added(key(name + "+"), history.positive_time, members)
        records = ((encode(identity), _record(filled, identity)) for identity in filled._events)
        kept = ((identity, record) for identity, record in records if record.last >= oldest)
        while some := list(itertools.islice(kept, TOGETHER)):
            yield ["HSET", key("events"), *itertools.chain(*((identity, encode(record)) for identity, record in some))]
            yield ["ZADD", key("times"), *itertools.chain(*((record.last, identity) for identity, record in some))]
        yield ["HSET", key("meta"), "clock", filled.clock, "arrivals", filled.arrivals]


def _record(filled: OnlineState, identity: Any) -> Record:
    time, known, entities = filled._events[identity]
    versions = ((known, time, _named(named)) for known, time, named in filled._versions.get(identity, ()))
    arrival, labels = filled._number.get(identity, 0), filled._labels.get(identity, ())
    return Record(arrival, time, known, _named(entities), labels, tuple(versions), filled._asked.get(identity))


def _named(entities: Iterable[Hashable]) -> Keys:
    return tuple(None if one is None else _key(number, one) for number, one in enumerate(entities))


def _taken(replica: str) -> str:
    """The field that says what a replica took in last."""
    return f"taken:{replica}"


def _key(number: int, entity: Hashable) -> str:
    """The name of an entity's key: its plan's number and its value."""
    return f"{number}:{msgspec.json.encode(entity).decode()}"


def _added(key: bytes, scores: Iterable[int], members: Iterable[bytes]) -> Iterator[list[Any]]:
    """Commands that add members to a key, each of a size that Redis takes."""
    pairs = zip(scores, members, strict=True)
    while some := list(itertools.islice(pairs, TOGETHER)):
        yield ["ZADD", key, *itertools.chain.from_iterable(some)]
