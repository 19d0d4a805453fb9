"""The rows of a fold come in the order of their ids, whatever files hold them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray

from workbench.data import snapshots
from workbench.data.store import Store
from workbench.training import gather

pytestmark = pytest.mark.usefixtures("ray_session")


def table(rows: int) -> pa.Table:
    """Rows out of order, a fifth of them without a label."""
    random = np.random.default_rng(rows)
    label = pa.array((random.random(rows) < 0.5).astype(float), mask=random.random(rows) < 0.2)
    ids = pa.array(random.permutation(rows).astype(str))
    return pa.table({"id": ids, "b": random.random(rows), "a": random.random(rows), "label": label})


@pytest.mark.parametrize("most", [1_000_000, 100, 10])
def test_labelled_rows_that_were_chosen_come_in_the_order_of_their_ids_in_parts_of_any_size(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(gather, "MOST_ROWS", most)
    every = table(500)
    features = snapshots.write(store, "features", "all", every, parents={}, config={}, rows_per_file=170)
    found = gather.gather(features, ["a", "b"], "id", {"high": pc.field("a") > 0.5, "all": pc.field("a") >= 0})
    for name, least in {"high": 0.5, "all": -1.0}.items():
        wanted = every.filter((pc.field("a") > least) & pc.is_valid(pc.field("label"))).sort_by("id")
        parts = pa.concat_tables(ray.get(found[name].parts))
        assert parts.column_names == ["a", "b", "label"]
        for column in parts.column_names:
            np.testing.assert_array_equal(parts[column].to_numpy(), wanted[column].to_numpy().astype(np.float32))
        assert (found[name].rows, found[name].classes) == (wanted.num_rows, 2)
        assert len(found[name].parts) == max(1, -(-wanted.num_rows // gather.MOST_ROWS))


def test_of_no_row_there_is_no_class(store: Store) -> None:
    features = snapshots.write(store, "features", "all", table(50), parents={}, config={})
    none = gather.gather(features, ["a"], "id", {"none": pc.field("a") > 2})["none"]
    assert (none.rows, none.classes) == (0, 0)


def test_every_third_row_is_the_third_of_all_whatever_part_holds_it(store: Store) -> None:
    parts = [ray.put(pa.table({"a": list(range(start, end))})) for start, end in ((0, 4), (4, 5), (5, 12))]
    assert gather.Gathered(parts, 12, 2).every(3)["a"].to_pylist() == [0, 3, 6, 9]
