"""What is remembered of one entity, and what one event may see of it: the scalar twin of `timeline.py`."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.features.definitions import Window
from workbench.features.labels import NEVER_US

Said = Mapping[Any, tuple[tuple[int, int], ...]]  # id -> ((known time, label), ...), ascending


@dataclass(slots=True)
class History:
    """H versions of events in the order of (time, id, known), P of them called positive at some time. Times in us."""

    sums: list[list[int]]  # a list [H + 1] of running sums per adding measure
    values: list[list[Any]]  # a list [H] per other measure
    time: list[int] = field(default_factory=list)  # [H]
    ids: list[Any] = field(default_factory=list)  # [H]
    known: list[int] = field(default_factory=list)  # [H]
    until: list[int] = field(default_factory=list)  # [H] corrected or deleted then
    odd: int = 0  # how many versions are not simply visible from their own time on
    positive_time: list[int] = field(default_factory=list)  # [P]
    positive_ids: list[Any] = field(default_factory=list)  # [P]

    def insert(
        self, time: int, identity: Any, known: int, until: int, sums: Iterable[int], values: Iterable[Any]
    ) -> None:
        """Add a version with what it contributes to each measure."""
        self.odd += known > time or until < NEVER_US
        if not self.time or time > self.time[-1]:
            self._append(time, identity, known, until, sums, values)
            return
        row = place(self.time, self.ids, time, identity)
        while row < len(self.ids) and (self.time[row], self.ids[row]) == (time, identity) and self.known[row] <= known:
            row += 1
        for into, one in ((self.time, time), (self.ids, identity), (self.known, known), (self.until, until)):
            into.insert(row, one)  # type: ignore[arg-type]
        for running, value in zip(self.sums, sums, strict=True):
            _add(running, row, value)
        for listed, value in zip(self.values, values, strict=True):
            listed.insert(row, value)

    def _append(
        self, time: int, identity: Any, known: int, until: int, sums: Iterable[int], values: Iterable[Any]
    ) -> None:
        """The same for the newest of all, as nearly every event is when it comes."""
        self.time.append(time)
        self.ids.append(identity)
        self.known.append(known)
        self.until.append(until)
        for running, value in zip(self.sums, sums, strict=True):
            running.append(running[-1] + value)
        for listed, value in zip(self.values, values, strict=True):
            listed.append(value)

    def remove(self, time: int, identity: Any) -> bool:
        """Take out the only version of an event again; True when nothing is left at all."""
        row = place(self.time, self.ids, time, identity)
        self.odd -= self.known[row] > time or self.until[row] < NEVER_US
        for listed in (self.time, self.ids, self.known, self.until, *self.values):
            del listed[row]
        for running in self.sums:
            value = running[row + 1] - running[row]
            running[row + 1 :] = [total - value for total in running[row + 2 :]]
        return not self.time

    def end(self, time: int, identity: Any, known: int, until: int) -> None:
        """A version is corrected or deleted at `until`."""
        row = place(self.time, self.ids, time, identity)
        while row < len(self.ids) and self.ids[row] == identity and self.time[row] == time:
            if self.known[row] == known and self.until[row] > until:
                self.odd += known <= time and self.until[row] == NEVER_US
                self.until[row] = until
            row += 1

    def mark(self, time: int, identity: Any) -> None:
        """A label called the event positive."""
        row = place(self.positive_time, self.positive_ids, time, identity)
        self.positive_time.insert(row, time)
        self.positive_ids.insert(row, identity)

    def forget(self, oldest: int, at_least: int) -> bool:
        """Drop what is older than `oldest`, if that is so many versions; True when nothing is left at all."""
        expired = bisect_left(self.time, oldest)
        if expired == len(self.time):
            return True
        if expired >= at_least:
            gone = zip(self.known[:expired], self.time[:expired], self.until[:expired], strict=True)
            self.odd -= sum(known > time or until < NEVER_US for known, time, until in gone)
            for listed in (self.time, self.ids, self.known, self.until, *self.sums, *self.values):
                del listed[:expired]
        if positives := bisect_left(self.positive_time, oldest):
            del self.positive_time[:positives], self.positive_ids[:positives]
        return False


class Asker(NamedTuple):
    """The event that asks, and all labels."""

    time: int
    identity: Any
    said: Said

    def positive(self, identity: Any) -> int:
        """1 where the newest label of an event that is known by now calls it positive."""
        said = self.said.get(identity, ())
        if len(said) == 1:
            return said[0][1] if said[0][0] <= self.time else 0
        newest = bisect_right(said, self.time, key=_known)
        return said[newest - 1][1] if newest else 0


def end_of(history: History, asker: Asker, delay_us: int) -> tuple[int, bool]:
    """Where the windows of a delay end: before which version, and whether that one is the event's own."""
    if delay_us:
        return bisect_right(history.time, asker.time - delay_us), False
    row = _place(history, asker)
    # an id that comes again with another entity or time is not there: it sees others only
    return row, row < len(history.ids) and _is_at(history, row, asker)


class Seen:
    """What an event sees through a window where all is simple: versions `low` to `high` - 1, `own` the last of them."""

    __slots__ = ("asker", "count", "end", "high", "history", "low", "own", "window")

    def __init__(self, history: History, window: Window, asker: Asker, end: tuple[int, bool]) -> None:
        self.history, self.window, self.asker, (self.end, at_own) = history, window, asker, end
        self.low = bisect_right(history.time, asker.time - window.delay_us - window.length_us)
        self.own = window.current_row and at_own
        high = self.end + self.own
        self.high = high if high > self.low else self.low
        self.count = self.high - self.low

    def total(self, measure: int) -> int:
        """The sum of a measure."""
        running = self.history.sums[measure]
        return running[self.high] - running[self.low]

    def values(self, measure: int) -> list[Any]:
        """The values of a measure that count."""
        return [value for value in self.history.values[measure][self.low : self.high] if value is not None]

    def rows(self, others: bool) -> Any:
        """The versions, ascending; without its own where only others are asked for."""
        return range(self.low, self.high - (others and self.own))

    def positive_times(self, measure: int | None) -> list[int]:
        """The times, ascending, of the others known to be positive whose value of a measure counts."""
        history, asker = self.history, self.asker
        if not history.positive_time:
            return []
        times, ids, newest = history.positive_time, history.positive_ids, asker.time - self.window.delay_us
        low = bisect_right(times, newest - self.window.length_us)
        high = bisect_right(times, newest) if self.window.delay_us else place(times, ids, asker.time, asker.identity)
        found = [(times[i], ids[i]) for i in range(low, high) if asker.positive(ids[i])]
        if measure is None:
            return [time for time, _ in found]
        values = history.values[measure]
        return [one[0] for one in found if values[place(history.time, history.ids, *one)] is not None]


class Picked(Seen):
    """The same where versions are late, corrected or deleted: each one is looked at."""

    __slots__ = ("picked",)

    def __init__(self, history: History, window: Window, asker: Asker, end: tuple[int, bool]) -> None:
        super().__init__(history, window, asker, end)
        self.picked = [row for row in range(self.low, self.end) if self._visible(row)]
        if self.own:
            self.picked.append(self.end)
        self.count = len(self.picked)

    def total(self, measure: int) -> int:
        """The sum of a measure."""
        running = self.history.sums[measure]
        return sum(running[row + 1] - running[row] for row in self.picked)

    def values(self, measure: int) -> list[Any]:
        """The values of a measure that count."""
        values = self.history.values[measure]
        return [values[row] for row in self.picked if values[row] is not None]

    def rows(self, others: bool) -> Any:
        """The versions, ascending; without its own where only others are asked for."""
        return self.picked[:-1] if others and self.own else self.picked

    def positive_times(self, measure: int | None) -> list[int]:
        """The times, ascending, of the others known to be positive whose value of a measure counts."""
        history, values = self.history, None if measure is None else self.history.values[measure]
        rows = (row for row in self.rows(others=True) if values is None or values[row] is not None)
        return [history.time[row] for row in rows if self.asker.positive(history.ids[row])]

    def _visible(self, row: int) -> bool:
        history, asker = self.history, self.asker
        return history.known[row] <= asker.time < history.until[row] and history.ids[row] != asker.identity


def seen(history: History, windows: Iterable[Window], asker: Asker) -> Iterator[Seen]:
    """What an event, which is in the history, sees through each window."""
    kind: type[Seen] = Picked if history.odd else Seen
    ends: dict[int, tuple[int, bool]] = {}
    for window in windows:
        if (end := ends.get(window.delay_us)) is None:
            end = ends[window.delay_us] = end_of(history, asker, window.delay_us)
        yield kind(history, window, asker, end)


def place(times: list[int], ids: list[Any], time: int, identity: Any) -> int:
    """Where (time, id) is, or would be, in two lists that are ordered by it."""
    row = bisect_left(times, time)
    while row < len(times) and times[row] == time and ids[row] < identity:
        row += 1
    return row


def _place(history: History, asker: Asker) -> int:
    return place(history.time, history.ids, asker.time, asker.identity)


def _is_at(history: History, row: int, asker: Asker) -> bool:
    return history.ids[row] == asker.identity and history.time[row] == asker.time


def _known(said: tuple[int, int]) -> int:
    return said[0]


def _add(running: list[int], row: int, value: int) -> None:
    running.insert(row + 1, running[row] + value)
    if value:
        for later in range(row + 2, len(running)):
            running[later] += value
