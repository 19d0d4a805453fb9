"""Look for leaks: features that change when the future is rewritten, and columns that know the label.

Reads:  feature snapshot, validated snapshot, label ledger; or any CSV, Parquet or JSON lines with a label
Writes: leak report (report.html): every leak and note with column, numbers, remedy; exit code 1 where there is a leak
Run:    python -m workloads.leakcheck leakcheck.path=loans.csv leakcheck.label=defaulted
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import dimensions, labels, snapshots, sources
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import GateRefused
from workbench.features import tables
from workbench.features.definitions import FeatureSet, known_time_column
from workbench.leakage import files, functions, questions, rewrite
from workbench.leakage.audit import audit
from workbench.leakage.findings import Finding, table_of
from workbench.leakage.rewrite import History
from workbench.leakage.table import Audited, Column
from workbench.progress import say
from workbench.report.templates import filled
from workloads import door, featurize, ingest, validate

VERSION = 2
WORDS = {  # how a file is named where it is the data set: `data=file data.source.path=F data.label.column=C`
    "data.source.path": "leakcheck.path",
    "data.source.format": "leakcheck.format",
    "data.label": "leakcheck.label",
    "data.label.column": "leakcheck.label",
    "data.label.positive": "leakcheck.positive",
    "data.label.delay_days": "leakcheck.delay_days",
    "data.event_time": "leakcheck.time",
    "data.entities": "leakcheck.entities",
}


def key(cfg: Config) -> str:
    """The name of the report."""
    if cfg.leakcheck.path is None:
        return digest("leakcheck", VERSION, featurize.key(cfg), cfg.leakcheck)
    stamps = [[file.name, file.format, file.stamp] for file in sources.list_files(files.source_of(cfg.leakcheck))]
    return digest("leakcheck", VERSION, stamps, cfg.leakcheck)


def run(cfg: Config) -> Artifact:
    """The report; raises `GateRefused` with a table of all leaks where there is one."""
    files.config_faults(cfg.leakcheck)
    store, name = Store(cfg.storage.root), key(cfg)
    report = store.find("leakchecks", name) or _report(cfg, store, name)
    for note in report.figures["notes"]:
        say(f"  note: {table_of([Finding(**note)])}")
    _refuse_leaks(report)
    return report


def _report(cfg: Config, store: Store, name: str) -> Artifact:
    if cfg.leakcheck.path is None:
        snapshot = featurize.run(cfg)
        table, parents, unread = _snapshot(cfg, snapshot), {"features": snapshot.key}, list[str]()
        found, on = rewritten(cfg)
    else:
        (table, unread), parents, found, on = files.audited(cfg.leakcheck), {}, [], ""
    check = cfg.leakcheck
    found += audit(table, check.false_alarm_rate, check.sample_rows, tuple(check.accept))
    rows = len(table.label_N)
    figures = {
        "table": check.path or cfg.data.name,
        "rows": rows,
        "positives": int(table.label_N.sum()),
        "columns": len(table.columns),
        "unread": unread,
        "tested_rows": min(rows, check.sample_rows),
        "checks": questions.asked(table, min(rows, check.sample_rows), on),
        "false_alarm_rate": check.false_alarm_rate,
        "leaks": [dataclasses.asdict(one) for one in found if one.leak],
        "notes": [dataclasses.asdict(one) for one in found if not one.leak],
    }
    say(f"  leak check of {rows:,} rows and {len(table.columns)} columns; tests on {figures['tested_rows']:,} rows")
    stage = store.stage("leakchecks", name)
    stage.write_bytes("report.html", filled("leakcheck.html", leak=figures).encode())
    return stage.commit(parents, check, figures)


def rewritten(cfg: Config) -> tuple[list[Finding], str]:
    """What the product's own features do when the future is rewritten, and on what: up to 50,000 events."""
    store, data = Store(cfg.storage.root), cfg.data
    events = snapshots.read(validate.run(cfg))
    said = labels.read(store, ingest.key(cfg), channel="source")
    history = History(events, said, data.id, data.event_time, known_time_column(data), tuple(data.entities)).sample()
    feature_set = FeatureSet.of(cfg.features, data)
    looked_up = tables.load(store, feature_set, dimensions.keys(cfg.features.tables))
    found = rewrite.changed(functions.of_feature_set(feature_set, looked_up), history, cfg.leakcheck.cuts)
    ways = f"{cfg.leakcheck.cuts} times, {len(rewrite.REWRITES)} ways"
    return found, f"{history.events.num_rows:,} events of whole histories, {ways}"


def _snapshot(cfg: Config, snapshot: Artifact) -> Audited:
    """The feature snapshot as a table to audit; a stratified split has parts, and no time that means anything."""
    data, names = cfg.data, FeatureSet.of(cfg.features, cfg.data).names
    timed = data.split.kind == "time"
    roles = list(dict.fromkeys([data.id, data.event_time, *data.entities, "label", *([] if timed else ["part"])]))
    rows = featurize.table(snapshot, [*roles, *(name for name in names if name not in roles)])
    rows = rows.filter(pc.is_valid(rows["label"]))
    entities = tuple(one for name in data.entities if (one := Column.of(name, rows[name])) is not None)
    identity = Column.of(data.id, rows[data.id])
    return Audited(
        columns=tuple(one for name in names if (one := Column.of(name, rows[name])) is not None),
        label_N=rows["label"].to_numpy().astype(np.int64),
        time_N=rows[data.event_time].cast(pa.int64()).to_numpy() if timed else None,
        entities=entities,
        part=None if timed else Column.of("part", rows["part"]),
        split="time" if timed else cfg.leakcheck.split or "random",
        delay=data.label.delay_days * files.DAY_US,
        ids=() if identity is None else (identity,),
        row_N=np.arange(rows.num_rows),
    )


def _refuse_leaks(report: Artifact) -> None:
    leaks: list[dict[str, Any]] = report.figures["leaks"]
    if leaks:
        count = len({one["column"] for one in leaks})
        page = f"{report.uri}/report.html"
        raise GateRefused(
            f"{report.figures['table']} leaks in {count} of its {report.figures['columns']} columns: a model that"
            f" learns from it would look better than it is. Do what stands beside each, or, where a person made sure"
            f" that a column is known before the outcome, say leakcheck.accept=[COLUMN]. The report: {page}\n\n"
            f"{table_of(Finding(**one) for one in leaks)}"
        )


def spelled(words: Sequence[str]) -> list[str]:
    """The command line with `data=file` and its keys as the check's own, unless the columns are declared there too."""
    if "data=file" not in words or any(word.lstrip("+").startswith("data.columns") for word in words):
        return list(words)
    pairs = [word.partition("=") for word in words if word != "data=file"]
    return [WORDS.get(name, name) + equals + value for name, equals, value in pairs]


if __name__ == "__main__":
    sys.argv[1:] = spelled(sys.argv[1:])
    door.main(run, __doc__)
