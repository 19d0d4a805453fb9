"""Two snapshots joined bucket by bucket give what a search through all rows gives, and a fraction in each process."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle
from tests.code.features.test_join import BOTH, searched, tables
from workbench.data import shuffle, snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.features import distributed_join
from workbench.features.join import AsOf


def sides(store: Store, left: pa.Table, right: pa.Table, rows_per_file: int = 50) -> tuple[Artifact, Artifact]:
    numbered = left.append_column("row", pa.array(np.arange(len(left))))
    said: dict[str, Any] = {"parents": {}, "config": {}, "rows_per_file": rows_per_file}
    return (
        snapshots.write(store, "validated", "left", numbered, **said),
        snapshots.write(store, "validated", "right", right, **said),
    )


def values(artifact: Artifact, name: str = "value") -> list[int | None]:
    found: list[int | None] = snapshots.read(artifact).sort_by("row")[name].to_pylist()
    return found


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("buckets", [2, 7])
def test_every_row_finds_what_a_search_finds_under_both_clocks(
    store: Store, monkeypatch: pytest.MonkeyPatch, buckets: int
) -> None:
    monkeypatch.setattr(distributed_join, "buckets_for", lambda rows: buckets)
    left, right = tables(3, 400)
    mine, other = sides(store, left, right)
    found = distributed_join.joined(mine, other, BOTH, ["value", "valid_from"], "found_")
    expected = searched(left, right)
    assert values(found, "found_value") == expected
    assert 0 < expected.count(None) < 400
    assert snapshots.read(found).sort_by("row").select(left.column_names).equals(left)
    again = distributed_join.joined(mine, other, BOTH, ["value", "valid_from"], "found_")
    assert again.manifest == found.manifest
    assert len(found.files) == buckets


@pytest.mark.usefixtures("ray_session")
def test_of_equal_rows_in_several_files_the_last_counts(store: Store) -> None:
    at = oracle.times(np.array([5] * 120))
    left = pa.table({"shop": [1, 2], "time": oracle.times(np.array([9, 9]))})
    right = pa.table({"shop": [1, 2] * 60, "since": at, "value": np.arange(120)})
    found = distributed_join.joined(*sides(store, left, right, 7), AsOf(("shop",), "time", "since"), ["value"])
    assert values(found) == [118, 119]


def test_rows_without_a_key_are_spread_and_meet_none(store: Store) -> None:
    rows = 4000
    left = pa.table({"shop": pa.nulls(rows, pa.int64()), "time": oracle.times(np.zeros(rows, np.int64))})
    as_of = AsOf(("shop",), "time", "since")
    spread = distributed_join._spread(as_of, left)
    sizes = [len(part) for part in shuffle.split(spread, ("shop", distributed_join.SPREAD), 8)]
    assert max(sizes) < rows / 4
    right = pa.table({"shop": pa.array([None, 3], pa.int64()), "since": oracle.times(np.zeros(2, np.int64))})
    assert distributed_join._needed(as_of, ["shop", "since"], right)["shop"].to_pylist() == [3]


def test_all_that_is_wrong_is_said_at_once(store: Store) -> None:
    left = pa.table({"shop": ["a"], "at": oracle.times(np.array([1])), "value": [1]})
    right = pa.table({"shop": [1], "since": oracle.times(np.array([1])), "value": [1]}).slice(0, 1)
    mine, other = sides(store, left, right)
    with pytest.raises(ConfigError) as refused:
        distributed_join.joined(mine, other, AsOf(("shop",), "time", "since", "until"), ["value", "floor"])
    said = str(refused.value)
    for fault in (
        "has no column time", "has no column until", "has no column floor",
        "the key shop is string on the left and int64 on the right", "has a column value already",
    ):  # fmt: skip
        assert fault in said


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_two_large_tables_are_joined_in_parts(store: Store) -> None:
    random, keys, per_key = np.random.default_rng(1), 50_000, 20
    time = random.integers(0, 1000, keys * per_key)
    left = pa.table({"shop": random.permutation(np.repeat(np.arange(keys), per_key)), "time": oracle.times(time)})
    since = random.integers(0, 1000, keys * per_key)
    late = since + random.integers(0, 200, len(since)) * (random.random(len(since)) < 0.5)
    until = np.where(random.random(len(since)) < 0.3, since + random.integers(0, 300, len(since)), 10**6)
    right = pa.table(
        {
            "shop": np.tile(np.arange(keys), per_key), "since": oracle.times(since), "known": oracle.times(late),
            "until": oracle.times(until), "value": np.arange(len(since)),
        }
    )  # fmt: skip
    as_of = AsOf(("shop",), "time", "since", "until", "known")
    done = distributed_join.joined(*sides(store, left, right, 100_000), as_of, ["value"])
    assert max(entry.rows for entry in done.files) < len(left) / 6, "no process had more"
    found = values(done)
    by_key = np.argsort(right["shop"].to_numpy(), kind="stable").reshape(keys, per_key)  # [keys, per_key] places
    best = np.full(len(left), -1)
    for column in by_key[left["shop"].to_numpy()].T:  # every row with each of its key's rows
        sees = (since[column] <= time) & (late[column] <= time) & (time < until[column])
        newer = (best < 0) | (_rank(since, late, column) > _rank(since, late, best))
        best = np.where(sees & newer, column, best)
    assert found == [int(one) if one >= 0 else None for one in best]
    assert 0.1 < np.mean(best >= 0) < 0.99


def _rank(since: np.ndarray, late: np.ndarray, place: np.ndarray) -> np.ndarray:
    return (since[place] * 10_000 + late[place]) * 10**7 + place
