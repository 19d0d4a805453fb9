"""Look for leaks: features that change when the future is rewritten, and columns that know the label.

Reads:  feature snapshot, validated snapshot, label ledger; or any CSV, Parquet or JSON lines with a label
Writes: leak report (report.html): every leak and note with column, numbers, remedy; exit code 1 where there is a leak
Run:    python -m workloads.leakcheck leakcheck.path=loans.csv leakcheck.label=defaulted
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import dimensions, labels
from workbench.data.store import Artifact, Store
from workbench.data.versions import Versions
from workbench.digest import digest
from workbench.errors import GateRefused
from workbench.features import tables
from workbench.features.definitions import FeatureSet, known_time_column
from workbench.leakage import bounded, files, functions, questions, rewrite
from workbench.leakage.audit import audit
from workbench.leakage.findings import Finding, table_of
from workbench.leakage.futures import REWRITES
from workbench.leakage.history import History
from workbench.leakage.snapshot import Snapshot
from workbench.progress import say
from workbench.report.templates import filled
from workloads import door, featurize, ingest, validate

VERSION = 3
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
    stamps = [[file.name, file.format, file.stamp] for file in files.listed(cfg.leakcheck)]
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
    check = cfg.leakcheck
    if check.path is None:
        features = featurize.run(cfg)
        names = FeatureSet.of(cfg.features, cfg.data).names
        table, rows, positives = Snapshot(features, cfg.data, names, check).audited()
        parents, unread = {"features": features.key}, list[str]()
        found, on = rewritten(cfg)
    else:
        (table, unread), parents, found, on = files.audited(check), {}, [], ""
        rows, positives = len(table.label_N), int(table.label_N.sum())
    found += audit(table, check.false_alarm_rate, check.sample_rows, tuple(check.accept))
    tested = min(len(table.label_N), check.sample_rows)
    figures = {
        "table": check.path or cfg.data.name,
        "rows": rows,
        "held_rows": len(table.label_N),
        "positives": positives,
        "columns": len(table.columns),
        "unread": unread,
        "tested_rows": tested,
        "checks": questions.asked(table, tested, on),
        "false_alarm_rate": check.false_alarm_rate,
        "leaks": [dataclasses.asdict(one) for one in found if one.leak],
        "notes": [dataclasses.asdict(one) for one in found if not one.leak],
    }
    say(f"  leak check of {rows:,} rows and {len(table.columns)} columns; {_looked_at(figures)}")
    stage = store.stage("leakchecks", name)
    stage.write_bytes("report.html", filled("leakcheck.html", leak=figures).encode())
    return stage.commit(parents, check, figures)


def _looked_at(figures: dict[str, Any]) -> str:
    """On how many rows; a snapshot beyond leakcheck.driver_rows is sampled."""
    tested = f"tests on {figures['tested_rows']:,} rows"
    if figures["held_rows"] == figures["rows"]:
        return tested
    return f"{tested}, comparisons on samples of up to {figures['held_rows']:,} that keep together what is compared"


def rewritten(cfg: Config) -> tuple[list[Finding], str]:
    """What the product's own features do when the future is rewritten, and on what: up to 50,000 events."""
    store, data = Store(cfg.storage.root), cfg.data
    by = data.entities[0] if data.entities else data.id
    sample = bounded.Sample([by], cfg.leakcheck.driver_rows)
    events = bounded.samples(bounded.blocks_of(validate.run(cfg)), {by: sample})[by]
    events = versions.events(events) if (versions := Versions.of(data)) else events
    said = labels.ledger(store, ingest.key(cfg)).read(
        rows=(pc.field("channel") == "source") & pc.field(data.id).isin(events[data.id].combine_chunks())
    )
    history = History(events, said, data.id, data.event_time, known_time_column(data), tuple(data.entities)).sample()
    feature_set = FeatureSet.of(cfg.features, data)
    looked_up = tables.load(store, feature_set, dimensions.keys(cfg.features.tables))
    found = rewrite.changed(functions.of_feature_set(feature_set, looked_up), history, cfg.leakcheck.cuts)
    ways = f"{cfg.leakcheck.cuts} times, {len(REWRITES)} ways"
    return found, f"{history.events.num_rows:,} events of whole histories, {ways}"


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
