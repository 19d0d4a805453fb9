"""Rows that share a key meet in one place, in the order that they had, and none is lost or doubled."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data import snapshots
from workbench.data.shuffle import PACKED_FROM, Chain, Pass
from workbench.data.store import Artifact, Store

ROWS = 1000


def source(store: Store) -> Artifact:
    rows = pa.table(
        {"id": range(ROWS), "card": [i * 7 % 40 for i in range(ROWS)], "shop": [i % 9 for i in range(ROWS)]}
    )
    return snapshots.write(store, "raw", "rows", rows, parents={}, config={}, rows_per_file=300)


def counted(column: str) -> Pass:
    """A pass that writes beside each row how many rows of its key the partition holds, and which came before it."""

    def compute(rows: pa.Table) -> pa.Table:
        counts = pc.value_counts(rows[column].combine_chunks())
        place = pc.index_in(rows[column], counts.field("values"))
        return rows.append_column(f"of_{column}", counts.field("counts").take(place.combine_chunks()))

    return Pass((column,), compute)


def untouched(rows: pa.Table) -> pa.Table:
    return rows


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("buckets", [1, 2, 5, PACKED_FROM])
def test_every_row_meets_all_rows_of_its_key_in_one_pass_after_the_other(store: Store, buckets: int) -> None:
    stage = store.stage("done", f"{buckets}")
    schema = Chain(source(store), untouched, [counted("card"), counted("shop")], untouched, buckets).write(stage)
    done = snapshots.read(stage.commit({}, {}, {}, schema)).sort_by("id")
    assert done["id"].to_pylist() == list(range(ROWS))
    assert set(done["of_card"].to_pylist()) == {ROWS // 40}
    assert done["of_shop"].to_pylist() == [112 if i % 9 == 0 else 111 for i in range(ROWS)]
    assert [name for name, _ in schema] == ["id", "card", "shop", "of_card", "of_shop"]


@pytest.mark.usefixtures("ray_session")
def test_without_passes_files_stay_files_in_their_order(store: Store) -> None:
    stage = store.stage("done", "none")
    schema = Chain(source(store), untouched, [], lambda rows: rows.select(["id"]), 3).write(stage)
    done = stage.commit({}, {}, {}, schema)
    assert [entry.rows for entry in done.files] == [300, 300, 300, 100]
    assert snapshots.read(done)["id"].to_pylist() == list(range(ROWS))


@pytest.mark.usefixtures("ray_session")
def test_rows_of_a_bucket_keep_the_order_of_their_files(store: Store) -> None:
    stage = store.stage("done", "order")
    schema = Chain(source(store), untouched, [Pass(("card",), untouched)], untouched, 4).write(stage)
    done = stage.commit({}, {}, {}, schema)
    for entry in done.files:
        ids = snapshots.read_file(done, entry)["id"].to_pylist()
        assert ids == sorted(ids)
