"""A table's file becomes a snapshot named by what it holds, or is refused with all that is wrong with it."""

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.config import ColumnConfig, TableConfig
from workbench.data import dimensions, snapshots
from workbench.data.store import Store
from workbench.errors import InputError

ROWS = "Shop,since,until,risk\n007,2020-01-01,,low\n8,2020-01-01T00:00:00+02:00,2021-01-01,high\n"
TIME = ColumnConfig("timestamp")
COLUMNS = {
    "shop": ColumnConfig("string", source="Shop"),
    "since": TIME,
    "until": dataclasses.replace(TIME, nulls=True),
    "risk": ColumnConfig("string", categories=["low", "high"]),
}


def table(path: Path, text: str | None = None, **more: Any) -> TableConfig:
    if text is not None:
        path.write_text(text)
    return TableConfig(**{"path": str(path), "key": ["shop"], "valid_from": "since", "columns": COLUMNS, **more})


def refused(store: Store, **tables: TableConfig) -> list[str]:
    with pytest.raises(InputError) as error:
        dimensions.snapshot_all(store, tables)
    head, *lines = str(error.value).splitlines()
    assert head == "features.tables cannot be used:"
    assert store.keys("dimensions") == []
    return [line.removeprefix("  - ") for line in lines]


def test_the_rows_are_kept_in_their_types_and_order(store: Store, tmp_path: Path) -> None:
    made = dimensions.snapshot_all(store, {"shops": table(tmp_path / "a.csv", ROWS)})["shops"]
    rows = snapshots.read(made)
    assert rows["shop"].to_pylist() == ["007", "8"]
    assert rows["since"].cast(pa.int64()).to_pylist() == [1577836800_000000, 1577829600_000000]
    assert rows["until"].null_count == 1
    assert made.kind == "dimensions"


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_of_a_source_is_read(store: Store, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    rows = pa.table({"Shop": ["7"], "since": ["2020-01-01"], "until": pa.array([None], pa.string()), "risk": ["low"]})
    if kind == "parquet":
        pq.write_table(rows, path)
    else:
        path.write_text('{"Shop": "7", "since": "2020-01-01", "until": null, "risk": "low"}\n' if kind == "jsonl" else
                        "Shop,since,until,risk\n7,2020-01-01,,low\n")  # fmt: skip
    found = snapshots.read(dimensions.snapshot_all(store, {"shops": table(path)})["shops"])
    assert found.drop_columns(["since"]).to_pylist() == [{"shop": "7", "until": None, "risk": "low"}]


def test_a_folder_is_read_in_the_order_of_its_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "shops").mkdir()
    for name in ("b", "a"):
        (tmp_path / "shops" / f"{name}.csv").write_text(f"Shop,since,until,risk\n{name},2020-01-01,,low\n")
    made = dimensions.snapshot_all(store, {"shops": table(tmp_path / "shops")})["shops"]
    assert snapshots.read(made)["shop"].to_pylist() == ["a", "b"]


def test_content_and_columns_name_the_snapshot_and_clocks_and_place_do_not(tmp_path: Path) -> None:
    first = table(tmp_path / "a.csv", ROWS)
    (tmp_path / "elsewhere").mkdir()
    others = {
        "content": table(tmp_path / "b.csv", ROWS.replace("high", "low")),
        "columns": table(tmp_path / "a.csv", columns={**COLUMNS, "risk": ColumnConfig("string")}),
        "clock": table(tmp_path / "a.csv", valid_until="until"),
        "place": table(tmp_path / "elsewhere" / "a.csv", ROWS),
    }
    key = dimensions.keys({"shops": first})["shops"]
    same = {name for name, other in dimensions.keys(others).items() if other == key}
    assert same == {"clock", "place"}


def test_a_second_call_writes_nothing(store: Store, tmp_path: Path) -> None:
    tables = {"shops": table(tmp_path / "a.csv", ROWS)}
    first = dimensions.snapshot_all(store, tables)["shops"]
    assert dimensions.snapshot_all(store, tables)["shops"].manifest == first.manifest


def test_every_fault_of_every_file_is_told_at_once_in_the_tables_own_keys(store: Store, tmp_path: Path) -> None:
    unique = {**COLUMNS, "shop": dataclasses.replace(COLUMNS["shop"], unique=True)}
    found = refused(
        store,
        cast=table(tmp_path / "cast.csv", ROWS.replace("2021-01-01", "soon")),
        shape=table(tmp_path / "shape.csv", ROWS.replace("risk", "class")),
        rules=table(tmp_path / "rules.csv", ROWS.replace("high", "odd").replace("007", "8"), columns=unique),
        void=table(tmp_path / "void.csv", "Shop,since,until,risk\n"),
    )
    where = "features.tables"
    assert found == [
        f"{where}.cast.columns.until: 1 rows break the rule 'not of type timestamp', first 'soon' in row 1. Correct the"
        " file or the rule.",
        f"{where}.shape: shape.csv has no column risk. It has: Shop, since, until, class. Correct {where}.shape.columns"
        " or the file.",
        f"{where}.shape: shape.csv has a column class that is not declared. Add it to {where}.shape.columns, or to"
        f" {where}.shape.ignore.",
        f"{where}.rules.columns.shop: 2 rows break the rule 'not unique', first '8' in row 0. Correct the file or the"
        " rule.",
        f"{where}.rules.columns.risk: 1 rows break the rule 'unknown category', first 'odd' in row 1. Correct the file"
        " or the rule.",
        f"{where}.void.path={tmp_path}/void.csv holds no rows. Use a file with rows.",
    ]


def test_a_misfit_in_one_of_several_files_is_told_by_its_row(store: Store, tmp_path: Path) -> None:
    (tmp_path / "shops").mkdir()
    for name, since in (("a", "2020-01-01"), ("b", "soon"), ("c", "2020-01-03")):
        (tmp_path / "shops" / f"{name}.csv").write_text(f"Shop,since,until,risk\n{name},{since},,low\n")
    assert refused(store, shops=table(tmp_path / "shops")) == [
        "features.tables.shops.columns.since: 1 rows break the rule 'not of type timestamp', first 'soon' in row 1."
        " Correct the file or the rule."
    ]


def test_a_file_that_would_be_left_out_is_told_in_the_tables_own_keys(store: Store, tmp_path: Path) -> None:
    (tmp_path / "shops").mkdir()
    (tmp_path / "shops" / "a.csv").write_text(ROWS)
    (tmp_path / "shops" / "b.csv.gz").write_bytes(b"")
    (said,) = refused(store, shops=table(tmp_path / "shops"))
    assert said.startswith(f"features.tables.shops.path={tmp_path}/shops holds files that do not end in .csv, ")
    assert "set features.tables.shops.format where" in said


def test_a_file_that_is_not_there_is_named_by_the_tables_key(store: Store, tmp_path: Path) -> None:
    path = f"features.tables.shops.path={tmp_path}/no.csv"
    assert refused(store, shops=table(tmp_path / "no.csv")) == [f"{path} does not exist. Correct the path."]


def test_a_table_that_no_worker_should_hold_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimensions, "MOST_ROWS", 1)
    (said,) = refused(store, shops=table(tmp_path / "a.csv", ROWS))
    assert said.startswith(
        f"features.tables.shops.path={tmp_path}/a.csv holds 2 rows; 1 are the most that every worker"
    )
