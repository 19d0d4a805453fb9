"""Each worker gets its even share of every dataset, and what is scored whole."""

import pytest
import ray

from workbench.training.shards import EvenShards

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.mark.parametrize(("count", "workers"), [(10, 3), (3, 3), (101, 4)])
def test_shards_are_even_and_every_row_is_in_one(count: int, workers: int) -> None:
    data = {"fold": ray.data.range(count, override_num_blocks=5), "fold-scored": ray.data.range(7)}
    shards = EvenShards().configure(data, workers)
    parts = [[row["id"] for row in shard["fold"].iter_rows()] for shard in shards]
    assert [row for part in parts for row in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [row["id"] for row in shards[-1]["fold-scored"].iter_rows()] == list(range(7)), "scored rows stay whole"
