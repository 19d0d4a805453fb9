"""An append is applied once, however often it is tried."""

import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler

from workbench.data.store import Store
from workbench.data.tables import Table, plain_strings
from workbench.errors import EnvironmentFault, StoreError, WorkbenchError

ROWS = pa.table({"id": [1, 2], "name": pa.array(["a", "b"], pa.large_string())})


def test_the_greatest_value_is_found_where_a_file_knows_it_and_where_it_does_not(store: Store) -> None:
    table = Table(store, "labels/x")
    for number, values in enumerate(([3, 7], [5, None], [None])):
        table.append(pa.table({"id": pa.array(values, pa.int64())}), "ingest", number + 1)
        assert table.greatest("id").as_py() == 7


def test_a_repeated_transaction_changes_nothing(store: Store) -> None:
    table = Table(store, "labels/x")
    assert [table.append(ROWS, "ingest", 1), table.append(ROWS, "ingest", 1)] == [True, False]
    assert table.read().num_rows == 2


def test_other_transactions_add_their_rows(store: Store) -> None:
    table = Table(store, "labels/x")
    applied = [table.append(ROWS, "ingest", 1), table.append(ROWS, "ingest", 2), table.append(ROWS, "other", 1)]
    assert applied == [True, True, True]
    assert table.read(["id"], pc.field("id") == 2).num_rows == 3


def test_large_strings_fit_a_table_of_strings(store: Store) -> None:
    table = Table(store, "labels/x")
    table.append(ROWS, "large", 1)
    table.append(ROWS.cast(pa.schema([("id", pa.int64()), ("name", pa.string())])), "plain", 1)
    assert table.read().schema.field("name").type == pa.string()


def test_reading_before_the_first_append_says_what_to_do(store: Store) -> None:
    table = Table(store, "labels/none")
    assert not table.exists()
    with pytest.raises(EnvironmentFault, match="does not exist yet"):
        table.read()


def test_a_transaction_before_the_newest_of_its_writer_is_in_the_table_already(store: Store) -> None:
    table = Table(store, "labels/x")
    assert [table.append(ROWS, "journal", version) for version in (2, 1, 2, 3)] == [True, False, False, True]


def test_an_append_is_known_to_every_other_reader_and_writer(store: Store) -> None:
    Table(store, "labels/x").append(ROWS, "ingest", 1)
    other = Table(Store(store.root), "labels/x")
    assert other.exists()
    assert not other.append(ROWS, "ingest", 1)
    assert other.read(["name", "id"]).to_pydict() == {"name": ["a", "b"], "id": [1, 2]}


def test_writers_that_create_a_table_together_all_succeed(store: Store) -> None:
    for number in range(10):
        table = Table(store, f"predictions/{number}")
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda name, into=table: into.append(ROWS, name, 1), "abcd"))
        assert table.read().num_rows == 8


def test_tables_of_other_names_are_other_tables(store: Store) -> None:
    Table(store, "labels/x").append(ROWS, "ingest", 1)
    assert not Table(store, "labels/y").exists()
    assert not Table(store, "labels").exists()


def test_an_empty_append_is_remembered(store: Store) -> None:
    table = Table(store, "labels/x")
    assert table.append(ROWS[:0], "ingest", 1)
    assert not table.append(ROWS, "ingest", 1)
    assert table.read().num_rows == 0


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.append_column("more", pa.array([0, 0])),
        ROWS.drop_columns(["name"]),
        ROWS.set_column(0, "id", pa.array(["three", "four"])),
        ROWS.set_column(0, "id", pa.array([[3], [4]])),
    ],
    ids=["more columns", "fewer columns", "texts for numbers", "lists for numbers"],
)
def test_rows_of_another_shape_are_refused_and_change_nothing(store: Store, rows: pa.Table) -> None:
    table = Table(store, "labels/x")
    table.append(ROWS, "ingest", 1)
    with pytest.raises(StoreError, match=r"labels/x does not take these rows: .*another version"):
        table.append(rows, "other", 1)
    assert table.read()["id"].to_pylist() == [1, 2]


def test_a_full_disk_is_no_fault_of_the_rows(store: Store) -> None:
    table = Table(store, "labels/x")
    table.append(ROWS, "ingest", 1)
    rows = pa.table({"id": np.random.default_rng(0).integers(0, 2**62, 100_000), "name": ["x"] * 100_000})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # fails like a full disk, with a number of its own
    try:
        with pytest.raises(EnvironmentFault, match=r"could not be appended to: .*Free space"):
            table.append(rows, "other", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert table.append(rows, "other", 1)


def test_a_folder_that_cannot_be_made_names_the_root(store: Store) -> None:
    store.begin()
    (Path(store.root) / "tables").write_text("in the way")
    with pytest.raises(EnvironmentFault, match=r"(?s)could not be appended to: .*correct storage.root"):
        Table(store, "labels/x").append(ROWS, "ingest", 1)


def test_a_commit_that_another_writer_overtook_says_to_run_again(store: Store) -> None:
    fault: WorkbenchError = Table(store, "labels/x")._fault(CommitFailedError("version 3 exists"))
    assert isinstance(fault, EnvironmentFault)
    assert "run the step again" in str(fault)


def test_several_writers_at_once_lose_and_double_nothing(store: Store) -> None:
    Table(store, "labels/x").append(ROWS[:0], "first", 1)

    def append(number: int) -> bool:
        rows = pa.table({"id": [number], "name": [f"n{number}"]})
        return Table(Store(store.root), "labels/x").append(rows, f"writer-{number}", 1)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(append, range(8))) == [True] * 8
    assert sorted(Table(store, "labels/x").read()["id"].to_pylist()) == list(range(8))


def test_no_way_of_reading_leaves_python_files_with_threads_of_arrow(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 120 processes that read such files aborted at its exit."""
    table = Table(store, "labels/x")
    table.append(ROWS, "ingest", 1)
    monkeypatch.setattr(DeltaStorageHandler, "open_input_file", None)
    fresh, seen = table.read_new(frozenset(), ["id"], pc.field("id") > 0)
    assert (table.read().num_rows, fresh.num_rows, len(seen)) == (2, 2, 1)
    assert not table.append_unless(ROWS.slice(0, 1), {"id": 1})


def test_wide_strings_become_strings_and_nothing_else_changes() -> None:
    wide = pa.table({"a": pa.array(["x"], pa.large_string()), "b": pa.array(["y"], pa.string_view()), "c": [1.5]})
    assert plain_strings(wide).equals(pa.table({"a": ["x"], "b": ["y"], "c": [1.5]}))


class TestAppendUnless:
    def rows(self, who: str, step: int = 1) -> pa.Table:
        return pa.table({"name": ['it\'s "one"'], "step": [step], "who": [who]})

    def test_a_row_whose_place_is_taken_is_not_written(self, store: Store) -> None:
        table, place = Table(store, "t"), {"name": 'it\'s "one"', "step": 1}
        assert [table.append_unless(self.rows(who), place) for who in ("a", "b")] == [True, False]
        assert table.append_unless(self.rows("c", 2), {**place, "step": 2})
        assert table.read(["who", "step"]).sort_by("step").to_pydict() == {"who": ["a", "c"], "step": [1, 2]}

    def test_of_many_at_once_one_gets_the_place(self, store: Store) -> None:
        Table(store, "t").append_unless(self.rows("first", 0), {"step": 0})
        with ThreadPoolExecutor(4) as threads:
            ask = lambda who: Table(store, "t").append_unless(self.rows(who), {"step": 1})  # noqa: E731
            assert sum(threads.map(ask, "abcd")) == 1
        assert Table(store, "t").read().num_rows == 2

    def test_a_table_without_these_columns_gets_them(self, store: Store) -> None:
        Table(store, "t").append(pa.table({"name": ["old"]}), "older", 1)
        assert Table(store, "t").append_unless(self.rows("a"), {"step": 1})
        assert set(Table(store, "t").read()["who"].to_pylist()) == {None, "a"}
