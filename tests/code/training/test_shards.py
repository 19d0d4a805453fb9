"""Every worker gets its share, whole, in order and without a task that would need a CPU."""

import itertools

import pyarrow as pa
import pytest
import ray.data

from workbench.training.shards import EvenShards, pieces


def shares(rows: int, world_size: int, counts: list[int], blocks: int = 3) -> list[list[int]]:
    """What each worker sees of a dataset of numbered rows."""
    bounds = [rows * block // blocks for block in range(blocks + 1)]
    tables = [pa.table({"row": list(range(a, b))}) for a, b in itertools.pairwise(bounds)]
    data = ray.data.from_arrow(tables)
    cut = {"train": pieces("train", data, rows, counts)}
    shards = EvenShards({"train": rows}, cut).configure({"train": data}, world_size)
    return [
        [row for batch in one["train"].iter_batches(batch_format="pyarrow") for row in batch["row"].to_pylist()]
        for one in shards
    ]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("rows", "workers"), [(10, 1), (10, 2), (11, 2), (10, 3), (3, 3)])
def test_shares_are_even_ordered_and_leave_no_row_out(rows: int, workers: int) -> None:
    found = shares(rows, workers, [workers])
    assert [row for share in found for row in share] == list(range(rows))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.usefixtures("ray_session")
def test_what_is_cut_for_several_numbers_of_workers_serves_each_of_them() -> None:
    for workers in (2, 3, 4):
        assert shares(25, workers, [2, 3, 4]) == shares(25, workers, [workers])


@pytest.mark.usefixtures("ray_session")
def test_scored_rows_go_whole_to_every_worker() -> None:
    data = ray.data.from_arrow(pa.table({"row": [1, 2, 3]}))
    cut = {"a-scored": pieces("a-scored", data, 3, [2])}
    shards = EvenShards({"a-scored": 3}, cut).configure({"a-scored": data}, 2)
    assert [[row["row"] for row in one["a-scored"].iter_rows()] for one in shards] == [[1, 2, 3], [1, 2, 3]]
