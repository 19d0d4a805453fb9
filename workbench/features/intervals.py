"""What covers each row: facts as intervals [start, end) over sorted rows, summed, maximised, counted, without a loop.

Under two clocks a fact is seen by the rows between two places of its entity's sorted rows: from where it has happened
and is known, until where it leaves the window or is corrected (`timeline.py`). Every aggregate of a window is then a
question about the intervals that cover a row. Late, corrected and deleted facts are intervals like any other.

Shapes: I intervals, N rows.
"""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Exact = Any  # [N] int64, or Python's integers
LIMB = 21  # bits; wide values are cut in three, so that products of limbs and half a million of their sums fit 63 bits
NOTHING = np.iinfo(np.int64).min  # the greatest value of no interval


def total(start: Ints, end: Ints, value: Ints, rows: int) -> Ints:
    """[N] the sum of the values whose interval holds each row, while each such sum fits 63 bits: see `exact_total`."""
    change = np.zeros(rows + 1, np.int64)
    np.add.at(change, start, value)
    np.subtract.at(change, np.maximum(start, end), value)  # what is empty takes back what it gave
    return np.cumsum(change[:-1])


def count(start: Ints, end: Ints, rows: int) -> Ints:
    """[N] how many intervals hold each row."""
    begun, ended = (np.bincount(place, minlength=rows + 1) for place in (start, np.maximum(start, end)))
    return np.cumsum(begun[:-1] - ended[:-1])


def greatest(start: Ints, end: Ints, value: Ints, rows: int) -> Ints:
    """[N] the greatest value whose interval holds each row, `NOTHING` where none does.

    A sparse table built backwards: an interval is the union of two blocks whose length is a power of two; each block
    keeps the greatest value written to it and hands it down to its halves.
    """
    some = end > start
    start, end, value = start[some], end[some], value[some]
    level = np.frexp(end - start)[1] - 1  # floor(log2(length))
    by_level = np.argsort(level, kind="stable")
    cuts = np.searchsorted(level[by_level], np.arange(level.max(initial=0) + 2))
    block = np.full(rows, NOTHING)
    for one in range(len(cuts) - 2, -1, -1):
        here = by_level[cuts[one] : cuts[one + 1]]
        np.maximum.at(block, start[here], value[here])
        np.maximum.at(block, end[here] - (1 << one), value[here])
        if one:
            half = 1 << (one - 1)
            block[half:] = np.maximum(block[half:], block[:-half].copy())
    return block


def least(start: Ints, end: Ints, value: Ints, rows: int) -> Ints:
    """[N] the least value whose interval holds each row, `-NOTHING - 1` where none does. No value is `NOTHING`."""
    return ~greatest(start, end, ~value, rows)


def distinct(start: Ints, end: Ints, code: Ints, rows: int) -> Ints:
    """[N] how many different codes have an interval that holds each row: the overlaps of a code's intervals are one."""
    order = np.lexsort((start, code))
    order = order[(end > start)[order]]
    start, end, code = start[order], end[order], code[order]
    apart = code * (rows + 1)  # one axis for all codes, so that one running maximum serves
    reached = np.append(-1, np.maximum.accumulate(apart + end)[:-1]) if len(order) else apart
    first = np.flatnonzero(apart + start > reached)  # touching intervals are one as well
    last = np.append(first[1:], len(order)) - 1 if len(order) else first
    ends = np.maximum.accumulate(apart + end)[last] - apart[last] if len(order) else first
    return count(start[first], ends, rows)


def exact_total(start: Ints, end: Ints, value: Ints, rows: int) -> Exact:
    """[N] the sum of the values, whatever their size: int64 where that surely fits, else Python's integers."""
    if _most(value) * max(len(value), 1) < 2**63:
        return total(start, end, value, rows)
    return sum(total(start, end, limb, rows).astype(object) << shift for shift, limb in _limbs(value))


def exact_squares(start: Ints, end: Ints, value: Ints, rows: int) -> Exact:
    """[N] the sum of the squares, likewise."""
    if _most(value) ** 2 * max(len(value), 1) < 2**63:
        return total(start, end, value * value, rows)
    pairs = itertools.product(_limbs(value), repeat=2)
    return sum(total(start, end, x * y, rows).astype(object) << (a + b) for (a, x), (b, y) in pairs)


def _most(value: Ints) -> int:
    return max(abs(int(value.max(initial=0))), abs(int(value.min(initial=0))))


def _limbs(value: Ints) -> list[tuple[int, Ints]]:
    """(shift, limb) with value = sum of limb << shift; the top limb carries the sign."""
    mask = (1 << LIMB) - 1
    return [(2 * LIMB, value >> (2 * LIMB)), (LIMB, (value >> LIMB) & mask), (0, value & mask)]
