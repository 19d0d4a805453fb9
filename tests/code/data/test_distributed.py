"""Snapshots keep their rows and order through Ray Data."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data import distributed, snapshots
from workbench.data.store import Store
from workbench.errors import InputError


@pytest.mark.usefixtures("ray_session")
class TestDistributed:
    def test_rows_keep_their_order_through_workers(self, store: Store) -> None:
        import ray.data

        blocks = ray.data.from_arrow([pa.table({"id": range(start, start + 10)}) for start in (0, 10, 20)])
        artifact = distributed.write(store, "raw", "k", blocks, parents={}, config={})
        assert artifact.rows == 30
        assert distributed.gathered(artifact)["id"].to_pylist() == list(range(30))

    def test_columns_and_rows_are_chosen_in_the_workers(self, store: Store) -> None:
        table = pa.table({"id": range(10), "name": ["x"] * 10})
        artifact = snapshots.write(store, "raw", "k", table, parents={}, config={}, rows_per_file=4)
        chosen = distributed.gathered(artifact, ["id"], pc.field("id") >= 7)
        assert chosen.to_pydict() == {"id": [7, 8, 9]}

    def test_an_empty_dataset_is_not_written(self, store: Store) -> None:
        import ray.data
        from ray.data.expressions import col

        nothing = ray.data.range(5).filter(expr=col("id") > 9)
        with pytest.raises(InputError, match="has no rows"):
            distributed.write(store, "raw", "none", nothing, parents={}, config={})
        assert store.find("raw", "none") is None
