"""A sample is bounded, the same in whatever order blocks come, and has rows of one value all or not at all."""

import numpy as np
import pyarrow as pa
import pytest

from workbench.leakage.bounded import Sample, samples

RANDOM = np.random.default_rng(0)
ROWS = pa.table({
    "id": np.arange(8000),
    "card": [f"c{one}" for one in RANDOM.integers(0, 500, 8000)],
    "amount": RANDOM.integers(0, 30, 8000) / 4,
})  # fmt: skip
BLOCKS = [ROWS.slice(start, 1000) for start in range(0, 8000, 1000)]


def sampled(blocks: list[pa.Table], by: list[str], limit: int) -> pa.Table:
    return samples(blocks, {"": Sample(by, limit)})[""].sort_by("id")


@pytest.mark.parametrize("by", [["id"], ["card"], ["amount", "card"]])
def test_rows_with_equal_values_are_all_in_or_all_out(by: list[str]) -> None:
    found = sampled(BLOCKS, by, 1000)
    assert 300 < found.num_rows <= 1000
    keys = [ROWS.select(by).to_pylist(), found.select(by).to_pylist()]
    inside = {tuple(row.values()) for row in keys[1]}
    assert sum(tuple(row.values()) in inside for row in keys[0]) == found.num_rows


def test_the_order_of_blocks_changes_nothing() -> None:
    assert sampled(BLOCKS, ["card"], 1000).equals(sampled(BLOCKS[::-1], ["card"], 1000))


def test_what_fits_is_whole() -> None:
    assert sampled(BLOCKS, ["id"], 8000).equals(ROWS)


def test_a_value_of_most_rows_does_not_break_the_bound() -> None:
    flat = ROWS.set_column(1, "card", pa.array(["one"] * 8000))
    assert sampled([flat.slice(0, 4000), flat.slice(4000)], ["card"], 1000).num_rows == 0


def test_numbers_with_and_without_sign_of_zero_are_the_same() -> None:
    zeros = pa.table({"id": np.arange(200), "x": [0.0, -0.0] * 100})
    assert sampled([zeros], ["x"], 150).num_rows == 0
