"""Every aggregate of intervals is what a look at each interval gives, for values of any size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.features import intervals
from workbench.features.intervals import NOTHING, distinct, exact_squares, exact_total, greatest, least, total

Ints = NDArray[np.int64]
Case = tuple[Ints, Ints, Ints, int]
SMALL, WIDE = (-50, 50), (-(2**63) + 1, 2**63 - 1)


def case(seed: int, bounds: tuple[int, int] = SMALL) -> Case:
    """Intervals of all lengths, some of them empty or turned round, over 1 to 40 rows."""
    random = np.random.default_rng(seed)
    rows, many = int(random.integers(1, 40)), int(random.integers(0, 40))
    start = random.integers(0, rows + 1, many)
    end = np.clip(start + random.integers(-3, 20, many), 0, rows)
    return start, end, random.integers(*bounds, many), rows


def brute(facts: Case, make: Callable[[list[int]], Any]) -> list[Any]:
    """[rows] what is made of the values of the intervals that hold each row."""
    start, end, value, rows = facts
    held = [value[(start <= row) & (row < end)].tolist() for row in range(rows)]
    return [make(values) for values in held]


@pytest.mark.parametrize("bounds", [SMALL, WIDE])
@pytest.mark.parametrize(
    ("of", "make"),
    [
        (exact_total, sum),
        (exact_squares, lambda values: sum(value**2 for value in values)),
        (greatest, lambda values: max(values, default=NOTHING)),
        (least, lambda values: min(values, default=-NOTHING - 1)),
    ],
)
def test_sums_squares_and_extremes_are_exact_for_values_of_any_size(of: Any, make: Any, bounds: Any) -> None:
    for seed in range(150):
        facts = case(seed, bounds)
        assert list(map(int, of(*facts))) == brute(facts, make), seed


def test_plain_sums_and_distinct_codes() -> None:
    for seed in range(300):
        assert total(*case(seed)).tolist() == brute(case(seed), sum), seed
        codes = case(seed, (0, 5))
        assert distinct(*codes).tolist() == brute(codes, lambda values: len(set(values))), seed


def test_no_interval_no_row_and_intervals_that_hold_nothing() -> None:
    none, one = np.zeros(0, np.int64), np.ones(1, np.int64)
    for of, nothing in ((total, 0), (exact_total, 0), (exact_squares, 0), (distinct, 0), (greatest, NOTHING)):
        assert of(none, none, none, 0).tolist() == []
        assert of(none, none, none, 3).tolist() == [nothing] * 3
        assert of(2 * one, one, one, 3).tolist() == of(one, one, one, 3).tolist() == [nothing] * 3


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_narrow_way_is_taken_only_while_the_sums_fit(most: int) -> None:
    """Just below and above the limit of 63 bits the sums are right, whichever way they go."""
    for value, many in ((2**62 - 1, 2), (2**62, 2), (3037000499, most), (3037000500, most), (-(2**62), 2)):
        facts = (np.zeros(many, np.int64), np.full(many, 2), np.full(many, value), 2)
        assert list(map(int, exact_total(*facts))) == [value * many] * 2
        assert list(map(int, exact_squares(*facts))) == [value * value * many] * 2


def test_half_a_million_of_the_widest_values_do_not_overflow_a_limb() -> None:
    many = 500_000
    for value in (-(2**63) + 1, 2**63 - 1):
        facts = (np.zeros(many, np.int64), np.ones(many, np.int64), np.full(many, value), 1)
        assert exact_total(*facts)[0] == many * value
        assert exact_squares(*facts)[0] == many * value**2


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 1023, 1024, 1025])
def test_an_extreme_reaches_every_row_of_its_interval_and_no_other(length: int) -> None:
    start = np.array([5])
    found = greatest(start, start + length, np.array([7]), length + 10)
    assert found.tolist() == [NOTHING] * 5 + [7] * length + [NOTHING] * 5


def test_intervals_of_one_code_that_touch_or_hold_each_other_are_one() -> None:
    start, end = np.array([0, 2, 0, 1, 6]), np.array([2, 4, 10, 9, 7])
    assert distinct(start, end, np.zeros(5, np.int64), 12).tolist() == [1] * 10 + [0] * 2


def test_limbs_add_up_to_the_value() -> None:
    value = np.array([0, 1, -1, 2**63 - 1, -(2**63), 2**42, -(2**21)])
    assert sum(limb.astype(object) << shift for shift, limb in intervals._limbs(value)).tolist() == value.tolist()
