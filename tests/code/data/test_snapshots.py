"""A snapshot gives back its rows in their order, however they were cut into files."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data import snapshots
from workbench.data.store import Artifact, Store

ROWS = pa.table({"id": range(10), "name": [f"n{number % 3}" for number in range(10)]})


def written(store: Store, table: pa.Table = ROWS, rows_per_file: int = 4) -> Artifact:
    return snapshots.write(store, "raw", "k", table, parents={}, config={}, rows_per_file=rows_per_file)


@pytest.mark.parametrize(("rows_per_file", "files"), [(1, 10), (3, 4), (5, 2), (10, 1), (999, 1)])
def test_rows_are_cut_into_files_of_at_most_so_many(store: Store, rows_per_file: int, files: int) -> None:
    artifact = written(store, rows_per_file=rows_per_file)
    assert len(artifact.files) == files
    assert max(entry.rows for entry in artifact.files) == min(rows_per_file, 10)
    assert artifact.rows == 10
    assert snapshots.read(artifact).equals(ROWS)


def test_files_that_hold_the_same_rows_are_stored_once_and_read_as_often_as_they_are_listed(store: Store) -> None:
    twice = pa.concat_tables([ROWS, ROWS])
    artifact = written(store, twice, rows_per_file=10)
    assert len({entry.name for entry in artifact.files}) == 1
    assert snapshots.read(store.get("raw", "k")).equals(twice)


def test_a_snapshot_without_rows_keeps_its_columns_and_types(store: Store) -> None:
    artifact = written(store, ROWS[:0])
    assert artifact.rows == 0
    assert snapshots.read(artifact).schema.equals(ROWS.schema)
    assert artifact.manifest["schema"] == [["id", "int64"], ["name", "string"]]


def test_a_snapshot_without_files_has_its_columns(store: Store) -> None:
    artifact = store.stage("raw", "none").commit({}, {}, schema=snapshots.schema_of(ROWS.schema))
    assert snapshots.read(artifact).to_pydict() == {"id": [], "name": []}
    assert snapshots.read(artifact, ["name"], pc.field("id") > 1).to_pydict() == {"name": []}


def test_rows_are_chosen_file_by_file_and_files_without_any_do_not_matter(store: Store) -> None:
    found = snapshots.read(written(store), ["name", "id"], pc.field("id").isin([0, 9]))
    assert found.to_pydict() == {"name": ["n0", "n0"], "id": [0, 9]}
    nothing = snapshots.read(written(store), ["id"], pc.field("id") > 99)
    assert nothing.schema.equals(pa.schema([("id", pa.int64())]))


def test_one_of_several_tables_is_read_alone(store: Store) -> None:
    artifact = written(store)
    assert snapshots.read_file(artifact, artifact.files[1])["id"].to_pylist() == [4, 5, 6, 7]


def test_nothing_of_a_snapshot_is_seen_before_all_of_it_is_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = snapshots.write_table, []

    def fails_at_the_third(*args: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            raise OSError("no space left")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshots, "write_table", fails_at_the_third)
    with pytest.raises(OSError, match="no space"):
        written(store)
    assert store.find("raw", "k") is None
    monkeypatch.undo()
    assert snapshots.read(written(store)).equals(ROWS)
