"""A shape shows where values lie, counts every known one, and counts another window in the same bars."""

import numpy as np
import pyarrow as pa
import pytest

from workbench.feedback import shapes


def of(*values: float | None) -> dict:
    return shapes.profile(pa.table({"x": pa.array(values, pa.float64())}), ["x"])["x"]


def test_whole_numbers_have_a_bar_each() -> None:
    assert of(0, 1, 1, 3) == {"low": -0.5, "high": 3.5, "whole": True, "counts": [1, 2, 0, 1]}


def test_what_is_missing_is_in_no_bar() -> None:
    assert of(0, None, 1)["counts"] == [1, 1]
    assert of(None, None)["counts"] == []


def test_a_constant_has_one_bar() -> None:
    assert of(2.5, 2.5)["counts"] == [2]
    assert of(7, 7)["counts"] == [2]


@pytest.mark.parametrize("whole", [False, True])
def test_a_long_tail_does_not_press_everything_into_one_bar(whole: bool) -> None:
    values = np.random.default_rng(0).normal(100, 30, 2000)
    values = np.append(np.rint(values) if whole else values, 1e9)
    found = of(*values)
    assert len(found["counts"]) in range(20, shapes.BARS + 1)
    assert sum(found["counts"]) == 2001
    assert max(found["counts"]) < 400


def test_another_window_is_counted_in_the_same_bars() -> None:
    reference = shapes.profile(pa.table({"x": [0.0, 1.0, 2.0]}), ["x"])
    assert shapes.counted(reference, pa.table({"x": [1.0, 1.0, 50.0, -4.0, None]})) == {"x": [1, 2, 1]}
