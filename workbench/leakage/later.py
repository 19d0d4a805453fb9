"""Columns that equal a statistic of rows that came later, or of labels that were not known yet. Needs a time.

The rows are put in order of group and time; a small set of statistics that look ahead is computed for all, for each
entity, and for each of its days, and compared with every number of the table, value by value.

Shapes: N rows in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workbench.leakage.findings import Finding
from workbench.leakage.table import FIRST, HUGE, Audited, Column, Floats, Ints, Mask

LIMIT = 200_000  # rows of whole groups that are looked at
DAY_US = 86_400_000_000
HALVES = (1, 2, 3, 5)  # rows to each side of a centred window
MATCH = 0.95  # of the rows in which the column or the statistic is not at its usual value
LEAST = 20  # such rows
PAST = "Use rows and labels with event time before, and known time at most, the row's own time."


@dataclass(frozen=True)
class Statistic:
    """What looks ahead, for each row, and what honest columns say: only rows where these differ prove anything."""

    words: str
    value_N: Floats
    honest: tuple[Floats, ...]
    leak: bool = True


@dataclass(frozen=True)
class Ordered:
    """Rows in order of group and time: where each row's group and day begin and end, and what it could know."""

    begin_N: Ints
    end_N: Ints
    day_begin_N: Ints
    day_end_N: Ints
    known_N: Ints  # the first row of its group whose label it could not know yet

    @classmethod
    def of(cls, code_N: Ints, time_N: Ints, delay: float) -> "Ordered":
        """The bounds of rows that are sorted by group and time."""
        group = np.append(True, np.diff(code_N) != 0)
        begin_N, end_N = _bounds(group)
        day_begin_N, day_end_N = _bounds(group | np.append(True, np.diff(time_N // DAY_US) != 0))
        span = int(np.ptp(time_N)) + 1
        unit = max(1, (int(code_N.max(initial=0)) + 1) * span // 2**62 + 1)  # keeps group and time in one int64
        key_N = code_N * (span // unit + 2) + (time_N - time_N.min()) // unit
        known_N = np.searchsorted(key_N, key_N - int(delay) // unit, side="right" if delay else "left")
        return cls(begin_N, end_N, day_begin_N, day_end_N, np.maximum(known_N, begin_N))

    def sums(self, value_N: Floats, begin_N: Ints, end_N: Ints) -> Floats:
        """For each row the sum over the rows from `begin` up to `end`, kept inside its group."""
        running = np.append(0, np.cumsum(value_N))
        return running[np.minimum(end_N, self.end_N)] - running[np.maximum(begin_N, self.begin_N)]


def statistics(table: Audited) -> Iterator[Finding]:
    """The columns that equal one of the statistics that look ahead."""
    if table.time_N is None:
        return
    everything = Column(FIRST, np.zeros(len(table.label_N)))
    for by in (*table.entities, everything):
        some = table.groups(by, LIMIT) if by is not everything else table.whole(FIRST).take(slice(LIMIT))
        key = next((one for one in some.entities if one.name == by.name), None)
        yield from _of_group(some, by.name, None if key is None else key.coded[1])


def _of_group(table: Audited, name: str, code_N: Ints | None) -> Iterator[Finding]:
    assert table.time_N is not None
    codes = np.zeros(len(table.label_N), np.int64) if code_N is None else code_N
    order = np.lexsort((table.row_N, table.time_N, codes))
    rows = Ordered.of(codes[order], table.time_N[order], table.delay)
    label_N = table.label_N[order].astype(float)
    numbers = [(one.name, np.nan_to_num(one.value_N[order], nan=-1e300)) for one in table.columns if one.number]
    for stat in [*_of_labels(rows, label_N, table.delay > 0), *_of_rows(rows, numbers)]:
        for column, value_N in numbers:
            if matches(value_N, stat):
                yield Finding("looks ahead", column, f"by {name}: equals {stat.words}", PAST, stat.leak)


def _of_labels(rows: Ordered, label_N: Floats, delayed: bool) -> Iterator[Statistic]:
    place = np.arange(len(label_N))
    past = place - rows.begin_N
    before, with_it = rows.sums(label_N, rows.begin_N, place), rows.sums(label_N, rows.begin_N, place + 1)
    known = rows.sums(label_N, rows.begin_N, rows.known_N)
    last, known_last = rows.sums(label_N, place - 1, place), rows.sums(label_N, rows.known_N - 1, rows.known_N)
    share, known_share = before / np.maximum(past, 1), known / np.maximum(rows.known_N - rows.begin_N, 1)
    yield Statistic("the positives up to the row, its own label included", with_it, (before, label_N))
    yield Statistic(
        "the share of positives up to the row, its own label included", with_it / (past + 1), (share, label_N)
    )
    yield Statistic("the positives before the row, known or not", before, (known,), delayed)
    yield Statistic("the share of positives before the row, known or not", share, (known_share,), delayed)
    yield Statistic("the label before, known or not", last, (known_last,), delayed)
    yield Statistic("the next label", rows.sums(label_N, place + 1, place + 2), (last, label_N))
    yield Statistic("the positives after the row", rows.sums(label_N, place + 1, rows.end_N), (before,))
    today = rows.sums(label_N, rows.day_begin_N, rows.day_end_N)
    yield Statistic("the positives of its day", today, (rows.sums(label_N, rows.day_begin_N, place), label_N))
    yield Statistic("the share of positives of its day", today / (rows.day_end_N - rows.day_begin_N), (label_N,))
    for half in HALVES:
        window, behind = (rows.sums(label_N, place - half, place + ahead) for ahead in (half + 1, 0))
        size = np.minimum(place + half + 1, rows.end_N) - np.maximum(place - half, rows.begin_N)
        yield Statistic(f"the positives of the {2 * half + 1} rows around it", window, (behind, label_N))
        yield Statistic(f"the share of positives of the {2 * half + 1} rows around it", window / size, (label_N,))


def _of_rows(rows: Ordered, numbers: list[tuple[str, Floats]]) -> Iterator[Statistic]:
    place = np.arange(len(rows.begin_N))
    size, past = (rows.end_N - rows.begin_N).astype(float), (place - rows.begin_N + 1).astype(float)
    today = (rows.day_end_N - rows.day_begin_N).astype(float)
    yield Statistic("the number of rows, later ones included", size, (past, past - 1))
    so_far = (place - rows.day_begin_N + 1).astype(float)
    yield Statistic("the number of rows of its day, later ones included", today, (so_far, so_far - 1))
    for name, value_N in numbers:
        if np.abs(value_N).max(initial=0) < HUGE:  # none is missing
            total, so_far = (rows.sums(value_N, rows.begin_N, end) for end in (rows.end_N, place + 1))
            yield Statistic(f"the mean of {name}, later rows included", total / size, (value_N, so_far / past))
            yield Statistic(f"the sum of {name}, later rows included", total, (value_N, so_far))
            ahead = rows.sums(value_N, place + 1, place + 2)  # a note: it is the same table where the other one lags
            yield Statistic(f"the next {name}, unless that is the one before of this", ahead, (value_N,), leak=False)


def _bounds(start: Mask) -> tuple[Ints, Ints]:
    """For each row the first row of its run and the first behind it; `start` marks where a run begins."""
    place = np.arange(len(start))
    begin_N = np.maximum.accumulate(np.where(start, place, 0))
    return begin_N, np.append(np.flatnonzero(start)[1:], len(start))[np.cumsum(start) - 1]


def matches(value_N: Floats, stat: Statistic) -> bool:
    """Whether they are equal in the rows in which both say something: not the usual value, and not what is honest."""
    same = np.abs(value_N - stat.value_N) <= 1e-6 * np.maximum(np.abs(stat.value_N), 1e-3)
    if same.mean() < 0.5:
        return False
    moving = (value_N != _mode(value_N)) | (stat.value_N != _mode(stat.value_N))
    for honest_N in stat.honest:
        moving &= np.abs(stat.value_N - honest_N) > 1e-6 * np.maximum(np.abs(stat.value_N), 1e-3)
    return int(moving.sum()) >= LEAST and float(same[moving].mean()) >= MATCH


def _mode(value_N: Floats) -> float:
    distinct, count = np.unique(value_N, return_counts=True)
    return float(distinct[count.argmax()])
