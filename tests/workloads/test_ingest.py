"""Ingest brings events and labels into the store apart from each other, once, whatever the source is."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.workloads.samples import ORDERS, benchmark_config, orders_config
from workbench.config import Config
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.errors import InputError
from workloads import door, ingest

TIME = pa.timestamp("us", "UTC")
pytestmark = pytest.mark.usefixtures("ray_session")


def store_of(cfg: Config) -> Store:
    return Store(cfg.storage.root)


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return benchmark_config(tmp_path_factory.mktemp("store"))


class TestTheBenchmark:
    def test_events_have_their_columns_and_no_label(self, cfg: Config) -> None:
        raw = ingest.run(cfg)
        events = snapshots.read(raw)
        assert {field.name: field.type for field in events.schema} == {
            "transaction_id": pa.int64(), "event_time": TIME, "known_time": TIME, "customer_id": pa.int64(),
            "terminal_id": pa.int64(), "amount_minor": pa.int64(),
        }  # fmt: skip
        assert raw.rows == raw.figures["rows"] == events.num_rows
        assert events["known_time"].equals(events["event_time"])
        assert events["transaction_id"].to_pylist() == list(range(raw.rows))

    def test_the_uri_is_a_folder_of_parquet(self, cfg: Config) -> None:
        raw = ingest.run(cfg)
        assert pq.read_table([str(path) for path in Path(raw.uri).glob("*.parquet")]).num_rows == raw.rows

    def test_every_label_is_in_the_ledger_and_known_after_the_delay(self, cfg: Config) -> None:
        raw = ingest.run(cfg)
        ledger = labels.read(store_of(cfg), raw.key)
        assert ledger.num_rows == raw.rows
        late = pc.subtract(ledger["known_time"], ledger["event_time"]).cast(pa.int64()).unique().to_pylist()
        assert late == [7 * 86_400 * 10**6]
        assert set(ledger["channel"].to_pylist()) == {"source"}
        assert set(ledger["source"].to_pylist()) == {"handbook"}

    def test_the_figures_count_labels_and_scenarios(self, cfg: Config) -> None:
        raw = ingest.run(cfg)
        ledger = labels.read(store_of(cfg), raw.key)
        positive = ledger.filter(pc.field("label") == 1)
        assert raw.figures["labels"] == {"0": raw.rows - positive.num_rows, "1": positive.num_rows}
        assert sum(raw.figures["scenarios"].values()) == positive.num_rows
        assert positive["scenario"].null_count == 0
        assert ledger["scenario"].null_count == raw.rows - positive.num_rows

    def test_a_second_run_does_nothing(self, cfg: Config) -> None:
        first = ingest.run(cfg)
        second = ingest.run(cfg)
        assert first.manifest == second.manifest
        assert labels.read(store_of(cfg), first.key).num_rows == first.rows

    def test_a_run_that_was_cut_off_before_the_manifest_does_not_double_labels(self, cfg: Config) -> None:
        raw = ingest.run(cfg)
        (Path(raw.uri) / "manifest.json").unlink()
        again = ingest.run(cfg)
        assert again.manifest["files"] == raw.manifest["files"]
        assert labels.read(store_of(cfg), raw.key).num_rows == raw.rows

    def test_another_seed_has_another_key(self, cfg: Config) -> None:
        other = benchmark_config(Path(cfg.storage.root), seed=1)
        assert ingest.key(other) != ingest.key(cfg)

    def test_a_benchmark_without_rows_is_refused(self, tmp_path: Path) -> None:
        nobody = benchmark_config(tmp_path, radius=1e-9)
        with pytest.raises(InputError, match="gives no rows"):
            ingest.run(nobody)
        assert store_of(nobody).find("raw", ingest.key(nobody)) is None


class TestFiles:
    def test_a_small_file_of_ones_own_is_ingested(self, tmp_path: Path) -> None:
        mine = orders_config(tmp_path)
        raw = ingest.run(mine)
        events = snapshots.read(raw)
        assert events.column_names == ["order", "paid_at", "known_time", "card", "amount"]
        assert events["amount"].to_pylist() == [1234, 10, 99900, 500]
        ledger = labels.newest(labels.read(store_of(mine), raw.key), "order")
        assert ledger["order"].to_pylist() == ["a1", "a2", "a4"]
        assert ledger["label"].to_pylist() == [0, 1, 0]
        assert raw.figures == {"rows": 4, "labels": {"0": 2, "1": 1}, "scenarios": {}}

    def test_the_key_follows_the_files_content(self, tmp_path: Path) -> None:
        before = ingest.key(orders_config(tmp_path))
        assert ingest.key(orders_config(tmp_path)) == before
        assert ingest.key(orders_config(tmp_path, ORDERS.replace("12.34", "12.35"))) != before

    def test_a_cell_that_is_not_of_its_type_stays_with_its_row(self, tmp_path: Path) -> None:
        events = snapshots.read(ingest.run(orders_config(tmp_path, ORDERS.replace("12.34", "much"))))
        assert events["amount"].to_pylist() == [None, 10, 99900, 500]
        assert events["__unfit.amount"].to_pylist() == ["much", None, None, None]

    def test_the_ledger_has_no_row_without_id_or_time(self, tmp_path: Path) -> None:
        text = ORDERS.replace("a1,", ",").replace("2020-01-02 10:00:00", "soon")
        mine = orders_config(tmp_path, text + "a5,2020-01-05,z,1,yes\n")
        raw = ingest.run(mine)
        ledger = labels.read(store_of(mine), raw.key)
        assert ledger.select(["order", "label"]).to_pylist() == [
            {"order": "a4", "label": 0},
            {"order": "a5", "label": 1},
        ]
        assert ledger["event_time"].null_count == ledger["known_time"].null_count == 0
        assert raw.figures["labels"] == {"0": 1, "1": 1}

    def test_a_bad_file_writes_nothing(self, tmp_path: Path) -> None:
        bad = orders_config(tmp_path, ORDERS.replace("Total", "Sum"))
        with pytest.raises(InputError, match="has no column Total"):
            ingest.run(bad)
        assert not Path(bad.storage.root).exists()


class TestTheShippedLoans:
    def test_become_applications_with_numbers_and_a_clock(self, tmp_path: Path) -> None:
        cfg = door.composed(["experiment=credit", f"storage.root={tmp_path}"])
        raw = ingest.run(cfg)
        events = snapshots.read(raw)
        assert (raw.rows, events.num_columns) == (9857, 25)
        assert raw.figures["labels"] == {"0": 9340, "1": 517}
        assert "Class" not in events.column_names
        assert events["application_id"].to_pylist() == list(range(9857))
        times = events["applied_at"].to_pylist()
        assert (times[0].isoformat(), times == sorted(times)) == ("2016-01-01T00:00:00+00:00", True)
        assert times[-1].isoformat() < "2016-04-02"

    def test_are_the_published_ones(self, reference_data: Path) -> None:
        published = pq.read_table(reference_data / "lending_club" / "loans.parquet")
        assert pq.read_table("workbench/data/samples/lending_club.parquet").equals(published)
