"""Validation lets good rows through unchanged, keeps bad ones with their reasons, and refuses too many of them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.workloads.samples import ORDERS, benchmark_config, orders_config
from workbench.config import ColumnConfig, Config
from workbench.data import snapshots, sources
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.errors import GateRefused
from workloads import ingest, validate

pytestmark = pytest.mark.usefixtures("ray_session")
LATE = "2020-01-02 09:00:00+00:00"
BAD = ORDERS + "a4,2020-01-02 09:00:00,,-3,no\na5,2020-01-05 10:00:00,z,7,no\n"


def config(folder: Path, limit: float, text: str = BAD) -> Config:
    cfg = orders_config(folder, text)
    cfg.data.bad_rows_limit = limit
    return cfg


def quarantine(cfg: Config) -> list[dict[str, Any]]:
    return Table(Store(cfg.storage.root), f"quarantine/{validate.key(cfg)}").read().to_pylist()


class TestGoodRows:
    def test_pass_unchanged_and_in_order(self, tmp_path: Path) -> None:
        cfg = benchmark_config(tmp_path)
        validated = validate.run(cfg)
        assert snapshots.read(validated).equals(snapshots.read(ingest.run(cfg)))
        assert validated.figures == {"rows": validated.rows, "quarantined": 0, "violations": []}
        assert validated.manifest["parents"] == {"raw": ingest.key(cfg)}

    def test_a_second_run_does_nothing(self, tmp_path: Path) -> None:
        cfg = benchmark_config(tmp_path)
        assert validate.run(cfg).manifest == validate.run(cfg).manifest


class TestBadRowsBelowTheLimit:
    def test_go_to_quarantine_with_all_their_reasons(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, limit=0.5)
        validated = validate.run(cfg)
        kept = {row["row"]: row["reasons"] for row in quarantine(cfg)}
        assert [row["id"] for row in quarantine(cfg)] == ["a4", "a4"]
        assert list(kept.values()) == [
            ["order: not unique"],
            ["order: not unique", "paid_at: out of order", "card: null", "amount: below 0"],
        ]
        assert snapshots.read(validated)["order"].to_pylist() == ["a1", "a2", "a3", "a5"]

    def test_come_from_every_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "ROWS_PER_BLOCK", 2)
        cfg = config(tmp_path, limit=0.9, text=BAD.replace("0.10", "-1"))
        assert len(ingest.run(cfg).files) == 3
        figures = validate.run(cfg).figures
        assert figures["violations"][0] == {
            "column": "amount", "rule": "below 0", "count": 2, "example": "-100", "id": "a2"
        }  # fmt: skip
        assert len(quarantine(cfg)) == figures["quarantined"] == 3

    def test_rows_in_are_rows_out_and_quarantined(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, limit=0.5)
        validated = validate.run(cfg)
        assert validated.rows + len(quarantine(cfg)) == ingest.run(cfg).rows == 6
        assert (validated.figures["rows"], validated.figures["quarantined"]) == (4, 2)

    def test_are_counted_with_an_example(self, tmp_path: Path) -> None:
        figures = validate.run(config(tmp_path, limit=0.5)).figures
        assert figures["violations"] == [
            {"column": "order", "rule": "not unique", "count": 2, "example": "a4", "id": "a4"},
            {"column": "paid_at", "rule": "out of order", "count": 1, "example": LATE, "id": "a4"},
            {"column": "card", "rule": "null", "count": 1, "example": "None", "id": "a4"},
            {"column": "amount", "rule": "below 0", "count": 1, "example": "-300", "id": "a4"},
        ]  # fmt: skip

    def test_a_run_that_was_cut_off_before_the_manifest_does_not_double_quarantine(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, limit=0.5)
        validated = validate.run(cfg)
        (Path(validated.uri) / "manifest.json").unlink()
        assert validate.run(cfg).rows == validated.rows
        assert len(quarantine(cfg)) == 2


MISFITS = {"Order": "one", "Paid": "2020-02-30", "Total": "12,34", "Count": "2.5", "Weight": "heavy"}
REASON = {
    "Order": "order: not of type integer", "Paid": "paid_at: not of type timestamp",
    "Total": "amount: not of type money", "Count": "count: not of type integer",
    "Weight": "weight: not of type number",
}  # fmt: skip


def misfit_config(folder: Path, kind: str, limit: float = 0.9) -> Config:
    """Five rows with one bad cell each, one with three of them, and two good rows, as texts in a file of this kind."""
    good = {"Order": "1", "Paid": "2020-01-01 10:00:00", "Card": "x", "Total": "1.00", "Count": "1", "Weight": "0.5"}
    rows = [{**good, "Order": str(number), "Chargeback": "yes" if number % 2 else "no"} for number in range(1, 9)]
    for row, (name, text) in zip(rows, MISFITS.items(), strict=False):
        row[name] = text
    rows[5] |= {"Paid": "soon", "Total": "", "Weight": "light", "Order": "six"}
    columns = {
        "order": ColumnConfig("integer", source="Order", unique=True, ordered=True),
        "count": ColumnConfig("integer", source="Count", minimum=1),
        "weight": ColumnConfig("number", source="Weight", nulls=True, maximum=1),
    }
    cfg = orders_config(folder, **columns)
    path, table = folder / f"orders.{kind}", pa.Table.from_pylist(rows)
    if kind == "csv":
        pyarrow.csv.write_csv(table, path)
    elif kind == "parquet":
        pq.write_table(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    cfg.data.source.path, cfg.data.bad_rows_limit = str(path), limit
    return cfg


class TestCellsThatAreNotOfTheirType:
    @pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
    def test_put_their_row_in_quarantine_and_no_other(self, tmp_path: Path, kind: str) -> None:
        cfg = misfit_config(tmp_path, kind)
        validated = snapshots.read(validate.run(cfg))
        assert validated.column_names == ["order", "paid_at", "known_time", "card", "amount", "count", "weight"]
        assert validated["order"].to_pylist() == [7, 8]
        kept = quarantine(cfg)
        assert [row["reasons"] for row in kept[:5]] == [[REASON[name]] for name in MISFITS]
        names = ["order", "paid_at", "amount", "count", "weight"]
        assert [json.loads(row["row"])[name] for row, name in zip(kept, names, strict=False)] == [*MISFITS.values()]
        assert [row["id"] for row in kept] == ["one", "2", "3", "4", "5", "six"]

    def test_are_all_named_for_a_row_with_several(self, tmp_path: Path) -> None:
        cfg = misfit_config(tmp_path, "csv")
        validate.run(cfg)
        row = quarantine(cfg)[5]
        assert row["reasons"] == [REASON["Order"], REASON["Paid"], "amount: null", REASON["Weight"]]
        assert json.loads(row["row"]) == {
            "order": "six", "paid_at": "soon", "known_time": None, "card": "x", "amount": None, "count": 1,
            "weight": "light",
        }  # fmt: skip

    def test_are_refused_above_the_limit_with_the_text_of_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(GateRefused) as refused:
            validate.run(misfit_config(tmp_path, "csv", limit=0.5))
        text = str(refused.value)
        assert refused.value.exit_code == 1
        assert text.startswith("6 of 8 rows break the contract of orders; data.bad_rows_limit=0.5 allows 4.")
        listed = [line.split() for line in text.splitlines()[3:]]
        assert ["order", "not", "of", "type", "integer", "2", "one", "one"] in listed
        assert ["amount", "not", "of", "type", "money", "1", "12,34", "3"] in listed
        assert len(listed) == 6

    def test_may_be_in_one_of_several_blocks_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "ROWS_PER_BLOCK", 2)
        cfg = config(tmp_path, limit=0.5, text=ORDERS.replace("0.10", "free"))
        assert len(ingest.run(cfg).files) == 2
        assert snapshots.read(validate.run(cfg))["order"].to_pylist() == ["a1", "a3", "a4"]


class TestBadRowsAboveTheLimit:
    def test_are_refused_with_a_table_of_all_violations(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, limit=0.1)
        with pytest.raises(GateRefused) as refused:
            validate.run(cfg)
        text = str(refused.value)
        assert refused.value.exit_code == 1
        assert text.startswith("2 of 6 rows break the contract of orders; data.bad_rows_limit=0.1 allows 0.")
        assert [line.split("  ")[0] for line in text.splitlines()[3:]] == ["order", "paid_at", "card", "amount"]

    def test_leave_a_report_and_the_quarantine_but_no_snapshot(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, limit=0.1)
        with pytest.raises(GateRefused):
            validate.run(cfg)
        store = Store(cfg.storage.root)
        assert store.keys("validated") == []
        assert store.get("validations", validate.key(cfg)).figures["quarantined"] == 2
        assert len(quarantine(cfg)) == 2

    def test_are_refused_again_without_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cfg = config(tmp_path, limit=0.1)
        with pytest.raises(GateRefused) as first:
            validate.run(cfg)
        monkeypatch.setattr(ingest, "run", lambda _: pytest.fail("it worked again"))
        with pytest.raises(GateRefused) as second:
            validate.run(cfg)
        assert str(first.value) == str(second.value)

    def test_pass_when_the_limit_is_raised(self, tmp_path: Path) -> None:
        with pytest.raises(GateRefused):
            validate.run(config(tmp_path, limit=0.1))
        assert validate.run(config(tmp_path, limit=0.5)).rows == 4


def test_only_rules_are_in_the_key(tmp_path: Path) -> None:
    key = validate.key(orders_config(tmp_path))
    described = ColumnConfig("money", source="Total", minimum=0, description="How much.", example="500")
    assert validate.key(orders_config(tmp_path, amount=described)) == key
    stricter = ColumnConfig("money", source="Total", minimum=1)
    assert validate.key(orders_config(tmp_path, amount=stricter)) != key
