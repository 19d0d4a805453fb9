"""The as-of join finds, for every row, what a search through all rows of the other side finds."""

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle
from workbench.features.join import AsOf

BOTH = AsOf(("shop", "kind"), "time", "valid_from", "valid_until", "known_time")


def tables(seed: int, rows: int) -> tuple[pa.Table, pa.Table]:
    """Events of few keys, some without; and what held of a key: open and closed spans, late and corrected."""
    random = np.random.default_rng(seed)
    left = pa.table(
        {
            "shop": pa.array(random.integers(0, 5, rows), mask=random.random(rows) < 0.1),
            "kind": np.array(["a", "b"])[random.integers(0, 2, rows)],
            "time": oracle.times(random.integers(0, 40, rows)),
        }
    )
    many = rows // 2
    since = random.integers(0, 40, many)
    right = pa.table(
        {
            "kind": np.array(["a", "b", "c"])[random.integers(0, 3, many)],
            "shop": pa.array(random.integers(0, 6, many), mask=random.random(many) < 0.1),
            "valid_from": oracle.times(since),
            "valid_until": pa.array(since + random.integers(-2, 30, many), mask=random.random(many) < 0.5).cast(
                pa.timestamp("us", "UTC")
            ),
            "known_time": oracle.times(since + random.integers(-5, 15, many)),
            "value": np.arange(many),
        }
    )
    return left, right


def searched(left: pa.Table, right: pa.Table) -> list[int | None]:
    """The same by looking at every pair."""
    rows = list(enumerate(oracle.plain(right)))
    found = []
    for asked in oracle.plain(left):
        held = [
            (one["valid_from"], one["known_time"], number)
            for number, one in rows
            if None not in (asked["shop"], one["shop"])
            and (one["shop"], one["kind"]) == (asked["shop"], asked["kind"])
            and max(one["valid_from"], one["known_time"]) <= asked["time"]
            and (one["valid_until"] is None or asked["time"] < one["valid_until"])
        ]
        found.append(max(held)[2] if held else None)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_every_row_finds_what_a_search_finds(seed: int) -> None:
    left, right = tables(seed, 1 + 3 * seed)
    joined = BOTH.join(left, right, ["value"], prefix="found_")
    assert joined["found_value"].to_pylist() == searched(left, right)
    assert joined.select(left.column_names).equals(left), "the rows keep their order"


def test_what_was_not_known_yet_is_not_found() -> None:
    left = pa.table({"shop": [1], "time": oracle.times(np.array([10]))})
    right = pa.table({"shop": [1], "from": oracle.times(np.array([3])), "told": oracle.times(np.array([11]))})
    assert AsOf(("shop",), "time", "from").places(left, right).tolist() == [0]
    assert AsOf(("shop",), "time", "from", known_time="told").places(left, right).tolist() == [-1]


@pytest.mark.parametrize("empty", ["left", "right"])
def test_an_empty_side_gives_nothing(empty: str) -> None:
    left, right = tables(3, 20)
    left, right = (left.slice(0, 0), right) if empty == "left" else (left, right.slice(0, 0))
    joined = BOTH.join(left, right, ["value"])
    assert joined["value"].to_pylist() == [None] * left.num_rows
