"""A data set whose rows are versions of facts: corrected and deleted facts from the file to the training rows."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle
from workbench.config import (
    ColumnConfig,
    Config,
    FeatureConfig,
    FeaturesConfig,
    LabelConfig,
    SourceConfig,
    SplitConfig,
    StorageConfig,
    VersionsConfig,
    ViewConfig,
)
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.features.definitions import FeatureSet
from workloads import featurize, ingest, leakcheck, validate

pytestmark = pytest.mark.usefixtures("ray_session")
EVENTS = 300


def views() -> list[ViewConfig]:
    """Aggregates of every sort over windows with and without the row itself."""
    kinds = [
        FeatureConfig("n", "count"),
        FeatureConfig("sum", "sum", "amount"),
        FeatureConfig("std", "std", "amount", empty=-1),
        FeatureConfig("most", "max", "amount", empty=-1),
        FeatureConfig("shops", "distinct", "shop"),
        FeatureConfig("since", "since_last", empty=-1),
        FeatureConfig("risk", "known_positive_rate", empty=-1),
    ]
    return [
        ViewConfig(f"{entity}{current}", [entity], ["36h", "5d"], "0d", current, [
            FeatureConfig(**{**vars(one), "name": f"{entity}_{current}_{one.name}"}) for one in kinds
        ])
        for entity in ("customer", "shop") for current in (True, False)
    ]  # fmt: skip


def config(folder: Path, rows: list[dict[str, Any]], **versions: Any) -> Config:
    """A user's CSV in which ids come again."""
    with (folder / "facts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "time", "known_time", "customer", "shop", "amount", "op", "fraud"])
        writer.writeheader()
        writer.writerows({**row, "time": text(row["time"]), "known_time": text(row["known_time"])} for row in rows)
    cfg = Config(name="facts", storage=StorageConfig(root=str(folder / "store")))
    cfg.data.name, cfg.data.id, cfg.data.event_time, cfg.data.known_time = "facts", "id", "time", "known_time"
    cfg.data.source = SourceConfig(kind="file", path=str(folder / "facts.csv"))
    cfg.data.entities, cfg.data.split = ["customer", "shop"], SplitConfig(kind="stratified")
    cfg.data.label = LabelConfig(column="fraud", positive="yes", negative="no", delay_days=1)
    cfg.data.columns = {
        "id": ColumnConfig("integer"),
        "time": ColumnConfig("timestamp"),
        "known_time": ColumnConfig("timestamp"),
        "customer": ColumnConfig("integer", nulls=True),
        "shop": ColumnConfig("string"),
        "amount": ColumnConfig("integer"),
        "op": ColumnConfig("string", nulls=True),
    }
    cfg.data.versions = VersionsConfig(**(versions or {"operation": "op", "deleted": "delete"}))
    cfg.features = FeaturesConfig(views=views())
    return cfg


def text(time_us: int | None) -> str:
    return "" if time_us is None else oracle.times(np.array([time_us]))[0].as_py().isoformat()


def facts(seed: int = 3) -> list[dict[str, Any]]:
    """Rows of a file: versions in any order, late ones, ties, deletions that say nothing but that."""
    random = np.random.default_rng(seed)
    table = oracle.corrected(random, oracle.random_events(random, EVENTS))
    table = table.append_column("fraud", pa.array(np.array(["yes", "no"])[random.integers(0, 2, len(table))]))
    rows, seen = [], set()
    for row in oracle.plain(table):
        if (row["id"], row["known_time"]) not in seen:  # these two name a row
            seen.add((row["id"], row["known_time"]))
            nothing = {"time": None, "customer": None, "shop": None, "amount": None, "fraud": None}
            kept = {name: row[name] for name in ("id", "known_time", *nothing)}
            rows.append({**kept, "op": "delete", **nothing} if row["gone"] else {**kept, "op": None})
    return rows


def expected(cfg: Config, rows: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """The features of every event by brute force; labels are what the ledger says of them."""
    begun = {row["id"]: row["known_time"] for row in sorted(rows, key=lambda row: -row["known_time"]) if lives(row)}
    said = [{**row, "gone": not lives(row)} for row in rows if row["known_time"] >= begun.get(row["id"], oracle.DAY**2)]
    past = oracle.Past(said, oracle.plain(told(cfg)))
    names = FeatureSet.of(cfg.features, cfg.data)
    return {identity: past.features(names, versions[0]) for identity, versions in past.versions.items()}


def lives(row: dict[str, Any]) -> bool:
    return bool(row["op"] != "delete")


def told(cfg: Config) -> pa.Table:
    return labels.read(Store(cfg.storage.root), ingest.key(cfg))


def found(cfg: Config) -> Iterator[tuple[int, dict[str, float]]]:
    names = FeatureSet.of(cfg.features, cfg.data).names
    for row in snapshots.read(featurize.run(cfg)).to_pylist():
        yield row["id"], {name: row[name] for name in names}


def test_every_event_is_a_row_once_with_the_numbers_that_brute_force_finds(tmp_path: Path) -> None:
    rows = facts()
    cfg = config(tmp_path, rows)
    listed = list(found(cfg))
    assert dict(listed) == expected(cfg, rows)
    assert len(listed) == len(dict(listed))
    figures = validate.run(cfg).figures
    kinds = [figures[name] for name in ("events", "corrections", "deletions")]
    assert min(kinds) > 20, "there is something of everything"
    assert sum(kinds) + figures["quarantined"] == ingest.run(cfg).rows == len(rows)
    assert figures["quarantined"] == 0


def test_a_row_that_repeats_id_and_known_time_goes_to_quarantine_with_its_twin(tmp_path: Path) -> None:
    rows = [row for row in facts() if row["op"] is None]
    cfg = config(tmp_path, [*rows, rows[0], {**rows[1], "known_time": rows[1]["known_time"] + 1}])
    cfg.data.bad_rows_limit = 0.5
    figures = validate.run(cfg).figures
    assert figures["violations"] == [
        {"column": "id", "rule": "not unique at its known time", "count": 2, "example": str(rows[0]["id"]),
         "id": str(rows[0]["id"])}
    ]  # fmt: skip
    kept = Table(Store(cfg.storage.root), f"quarantine/{validate.key(cfg)}").read()
    assert kept["id"].to_pylist() == [str(rows[0]["id"])] * 2
    good = [*rows[1:], {**rows[1], "known_time": rows[1]["known_time"] + 1}]
    assert dict(found(cfg)) == expected(cfg, good)


def test_only_a_deletion_may_lack_values(tmp_path: Path) -> None:
    rows = facts()
    alive = next(row for row in rows if row["op"] is None)
    gone = next(row for row in rows if row["op"] == "delete")
    broken = [{**alive, "amount": None} if row is alive else row for row in rows]
    broken = [{**gone, "known_time": None} if row is gone else row for row in broken]
    cfg = config(tmp_path, broken)
    cfg.data.bad_rows_limit = 0.5
    violations = {(one["column"], one["rule"], one["count"]) for one in validate.run(cfg).figures["violations"]}
    assert violations == {("amount", "null", 1), ("known_time", "null", 1)}


def test_what_a_correction_says_of_the_label_is_known_when_the_correction_is(tmp_path: Path) -> None:
    day, common = oracle.DAY, {"customer": 1, "shop": "a", "amount": 1, "op": None, "time": 0}
    rows = [
        {"id": 1, "known_time": 0, "fraud": "no", **common},
        {"id": 1, "known_time": 5 * day, "fraud": "yes", **common},
        {"id": 2, "known_time": 0, "fraud": "yes", **common},
        {"id": 2, "known_time": day // 2, "fraud": "no", **common},
    ]
    cfg = config(tmp_path, rows)
    validate.run(cfg)
    said = sorted((row["id"], row["known_time"] / day, row["label"]) for row in oracle.plain(told(cfg)))
    assert said == [(1, 1, 0), (1, 5, 1), (2, 1, 0)], "a day's delay; of two that are known at once the newer"


def test_without_deletions_every_version_is_a_correction(tmp_path: Path) -> None:
    rows = [row for row in facts() if row["op"] is None]
    cfg = config(tmp_path, rows)
    cfg.data.versions = VersionsConfig()
    assert dict(found(cfg)) == expected(cfg, rows)


def test_the_leak_check_looks_at_the_events_as_they_were_asked(tmp_path: Path) -> None:
    cfg = config(tmp_path, facts())
    assert leakcheck.rewritten(cfg)[0] == []
