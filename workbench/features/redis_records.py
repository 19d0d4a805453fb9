"""How events are written in Redis: bytes that say all of a version, and `History` objects made of them again.

A version is [time, id, known, number, until, sums..., values...], so that versions sort as a `History` holds them.
Squares are not written: they are those of the sums. Everything is MessagePack.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import gt
from typing import Any

import msgspec

from workbench.features.aggregates import Plan
from workbench.features.definitions import Window
from workbench.features.history import History
from workbench.features.labels import NEVER_US
from workbench.features.vector import Event

Version = list[Any]
Labels = tuple[tuple[int, int], ...]
FACTS = 5  # what a version holds before its measures
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class Record(msgspec.Struct, array_like=True, frozen=True):
    """An event as it asked, its labels, and its versions where it was corrected. Scripts read `entities` of both.

    A script writes `arrival` in the place of the one byte of its 0.
    """

    arrival: int
    time: int
    known: int
    entities: tuple[str | None, ...]  # the names of their keys, as text: Lua's cmsgpack knows no bytes
    labels: Labels = ()  # (known time, label), ascending
    versions: tuple[tuple[int, int, tuple[str | None, ...]], ...] = ()  # known, time, entities; ascending
    kept: tuple[Any, ...] | None = None  # what a sequence needs of the event (`earlier.py`)

    @property
    def positive(self) -> bool:
        """Whether a label ever called it positive."""
        return any(label for _, label in self.labels)

    @property
    def places(self) -> set[tuple[int, tuple[str | None, ...]]]:
        """Where its versions lie: time and entities."""
        return {(self.time, self.entities)} | {(time, entities) for _, time, entities in self.versions}

    @property
    def last(self) -> int:
        """The latest time that any of its versions has: until then it is remembered."""
        return max(time for time, _ in self.places)


read_record = msgspec.msgpack.Decoder(Record).decode


class Layout:
    """The versions of one plan's entities; an event that shows earlier ones looks at all that those look at."""

    def __init__(self, plan: Plan, shows: Window | None = None) -> None:
        self.labelled = plan.labelled
        self.reach_us = max((window.reach_us for window in plan.windows), default=0) + (shows.reach_us if shows else 0)
        self.delay_us = min(window.delay_us for window in (*plan.windows, *([shows] if shows else [])))
        self._values = plan.values
        self._sums = [one for one in plan.sums if one.what != "square"]
        self._made = [(FACTS + self._sums.index(one._replace(what=_kept(one.what))), one.what) for one in plan.sums]
        self._kept = [plan.sums.index(one) for one in self._sums]
        self._width = FACTS + len(self._sums) + len(plan.values)

    def version(self, event: Event, time: int, identity: Any, known: int, number: int, until: int) -> bytes:
        """One version of an event."""
        measures = (one.one(event) for one in (*self._sums, *self._values))
        return encode([time, identity, known, number, until, *measures])

    def versions(self, history: History) -> Iterator[bytes]:
        """All versions of a history."""
        sums = [[after - before for before, after in itertools.pairwise(history.sums[i])] for i in self._kept]
        facts = (history.time, history.ids, history.known, _numbers(history), history.until)
        return map(encode, zip(*facts, *sums, *history.values, strict=False))

    def history(self, versions: list[Version], positives: Sequence[tuple[int, Any, Any]]) -> History:
        """What some versions, and those of them that were called positive, are together."""
        versions.sort()  # by time, id, known time and number; no two are equal up to there
        columns: list[list[Any]] = [*map(list, zip(*versions, strict=True))] or [[] for _ in range(self._width)]
        time, ids, known, _, until = columns[:FACTS]
        odd = any(map(gt, known, time)) or min(until, default=NEVER_US) < NEVER_US
        called = sorted((at, identity) for at, identity, _ in positives)
        return History(
            [_running(columns[place], what) for place, what in self._made],
            columns[FACTS + len(self._sums) :], time, ids, known, until, odd,
            [at for at, _ in called], [identity for _, identity in called],
        )  # fmt: skip


def ended(version: bytes, identity: Any, known: int, until: int) -> bytes | None:
    """The version as corrected or deleted at `until`; None where it is another's, or was ended before."""
    facts = decode(version)
    if facts[1] != identity or facts[2] != known or facts[4] <= until:
        return None
    return encode([*facts[:4], until, *facts[FACTS:]])


def _numbers(history: History) -> Iterable[int]:
    """Of versions of one event at one time that were told later, the greater number."""
    if not history.odd:
        return itertools.repeat(0)
    events = itertools.groupby(zip(history.time, history.ids, strict=True))
    return [number for _, same in events for number, _ in enumerate(same)]


def _kept(what: str) -> str:
    return "sum" if what == "square" else what


def _running(column: list[int], what: str) -> list[int]:
    """The sums before each number, and after the last."""
    return [0, *itertools.accumulate([one * one for one in column] if what == "square" else column)]
