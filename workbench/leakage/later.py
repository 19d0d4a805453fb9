"""Columns that equal a statistic of rows that came later, or of labels that were not known yet. Needs a time.

The rows are put in order of group and time; a small set of statistics that look ahead is computed for all, for each
entity, and for each of its days, and compared with every number of the table, value by value.

Shapes: N rows in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workbench.leakage.findings import Finding
from workbench.leakage.table import Audited, Column, Floats, Ints

LIMIT = 200_000  # rows of whole groups that are looked at
DAY_US = 86_400_000_000
HALVES = (1, 2, 3, 5)  # rows to each side of a centred window
MATCH = 0.95  # of the rows in which the column or the statistic is not at its usual value
LEAST = 20  # such rows
PAST = "Use rows and labels with event time before, and known time at most, the row's own time."


@dataclass(frozen=True)
class Ordered:
    """Rows in order of group and time: where each row's group begins and ends, and its day."""

    begin_N: Ints
    end_N: Ints
    day_N: Ints

    def sums(self, value_N: Floats, begin_N: Ints, end_N: Ints) -> Floats:
        """For each row the sum over the rows from `begin` up to `end`, kept inside its group."""
        running = np.append(0, np.cumsum(value_N))
        return running[np.minimum(end_N, self.end_N)] - running[np.maximum(begin_N, self.begin_N)]


def statistics(table: Audited) -> Iterator[Finding]:
    """The columns that equal one of the statistics that look ahead."""
    if table.time_N is None:
        return
    everything = Column("(all rows)", np.zeros(len(table.label_N)))
    for by in (*table.entities, everything):
        some = table.groups(by, LIMIT) if by is not everything else table.take(slice(LIMIT))
        key = next((one for one in some.entities if one.name == by.name), None)
        yield from _of_group(some, by.name, None if key is None else key.coded[1])


def _of_group(table: Audited, name: str, code_N: Ints | None) -> Iterator[Finding]:
    assert table.time_N is not None
    codes = np.zeros(len(table.label_N), np.int64) if code_N is None else code_N
    order = np.lexsort((table.row_N, table.time_N, codes))
    rows = _ordered(codes[order], table.time_N[order])
    label_N = table.label_N[order].astype(float)
    numbers = [(one.name, np.nan_to_num(one.value_N[order], nan=-1e300)) for one in table.columns if one.number]
    for words, stat_N, leak in [*_label_statistics(rows, label_N, table.delay > 0), *_row_statistics(rows, numbers)]:
        for column, value_N in numbers:
            if matches(value_N, stat_N):
                text = f"by {name}: equals {words}"
                yield Finding("looks ahead", column, text, PAST, leak)


def _ordered(code_N: Ints, time_N: Ints) -> Ordered:
    place = np.arange(len(code_N))
    start = np.append(True, np.diff(code_N) != 0)
    begin_N = np.maximum.accumulate(np.where(start, place, 0))
    end_N = np.append(np.flatnonzero(start)[1:], len(code_N))[np.cumsum(start) - 1]
    day_N = time_N // DAY_US
    return Ordered(begin_N, end_N, day_N)


def _label_statistics(rows: Ordered, label_N: Floats, delayed: bool) -> Iterator[tuple[str, Floats, bool]]:
    place = np.arange(len(label_N))
    before, with_it = rows.sums(label_N, rows.begin_N, place), rows.sums(label_N, rows.begin_N, place + 1)
    past = place - rows.begin_N
    yield "the positives up to the row, its own label included", with_it, True
    yield "the share of positives up to the row, its own label included", with_it / (past + 1), True
    yield "the positives before the row, known or not", before, delayed
    yield "the share of positives before the row, known or not", before / np.maximum(past, 1), delayed
    yield "the label before, known or not", rows.sums(label_N, place - 1, place), delayed
    yield "the next label", rows.sums(label_N, place + 1, place + 2), True
    yield "the positives after the row", rows.sums(label_N, place + 1, rows.end_N), True
    day_begin, day_end = _day(rows)
    yield "the positives of its day", rows.sums(label_N, day_begin, day_end), True
    yield "the share of positives of its day", rows.sums(label_N, day_begin, day_end) / (day_end - day_begin), True
    for half in HALVES:
        window = rows.sums(label_N, place - half, place + half + 1)
        yield f"the positives of the {2 * half + 1} rows around it", window, True
        size = np.minimum(place + half + 1, rows.end_N) - np.maximum(place - half, rows.begin_N)
        yield f"the share of positives of the {2 * half + 1} rows around it", window / size, True


def _row_statistics(rows: Ordered, numbers: list[tuple[str, Floats]]) -> Iterator[tuple[str, Floats, bool]]:
    size = (rows.end_N - rows.begin_N).astype(float)
    day_begin, day_end = _day(rows)
    yield "the number of rows, later ones included", size, True
    yield "the number of rows of its day, later ones included", (day_end - day_begin).astype(float), True
    place = np.arange(len(size))
    for name, value_N in numbers:
        if np.abs(value_N).max() < 1e200:  # none is missing
            yield f"the mean of {name}, later rows included", rows.sums(value_N, rows.begin_N, rows.end_N) / size, True
            yield f"the sum of {name}, later rows included", rows.sums(value_N, rows.begin_N, rows.end_N), True
            yield f"the next {name}", rows.sums(value_N, place + 1, place + 2), True


def _day(rows: Ordered) -> tuple[Ints, Ints]:
    """Where the day of each row begins and ends among its group's rows."""
    place = np.arange(len(rows.day_N))
    start = np.append(True, (np.diff(rows.day_N) != 0) | (np.diff(rows.begin_N) != 0))
    begin_N = np.maximum.accumulate(np.where(start, place, 0))
    return begin_N, np.append(np.flatnonzero(start)[1:], len(place))[np.cumsum(start) - 1]


def matches(value_N: Floats, stat_N: Floats) -> bool:
    """Whether they are equal in the rows in which either is not at its most frequent value."""
    near = 1e-6 * np.maximum(np.abs(stat_N), 1e-3)
    same = np.abs(value_N - stat_N) <= near
    if same.mean() < 0.5:
        return False
    moving = (value_N != _mode(value_N)) | (stat_N != _mode(stat_N))
    return int(moving.sum()) >= LEAST and float(same[moving].mean()) >= MATCH


def _mode(value_N: Floats) -> float:
    distinct, count = np.unique(value_N, return_counts=True)
    return float(distinct[count.argmax()])
