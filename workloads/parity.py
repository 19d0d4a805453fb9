"""Compute again offline what the endpoint served, and compare every feature of every logged row bit for bit.

Reads:  prediction log and corrections; validated snapshot; label ledger; the dimension snapshots that the log names
Writes: parity report: rows, cells, differing cells with examples (exit code 1 when there are any)
Run:    python -m workloads.parity
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import Config
from workbench.data import dimensions, labels, snapshots
from workbench.data.store import Artifact, Store
from workbench.data.versions import Versions
from workbench.digest import digest
from workbench.errors import GateRefused
from workbench.features import parity, tables
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.parity import Parity
from workbench.feedback import prediction_log
from workbench.governance import tokens
from workbench.governance.keys import Keys
from workbench.progress import say
from workloads import deploy, door, ingest, label, validate

VERSION = 2


def key(cfg: Config) -> str:
    """The name of the parity report."""
    return digest("parity", VERSION, label.key(cfg))


def run(cfg: Config) -> Artifact:
    """The report; raises `GateRefused` when a number that was served is not the number that is trained on."""
    report = compared(cfg)
    refuse_differences(report)
    return report


def compared(cfg: Config) -> Artifact:
    """The report, whatever it says."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("parity", name):
        return done
    told = label.run(cfg)
    found = of_log(cfg)
    say(f"  {found.rows:,} rows, {found.cells:,} numbers, {found.differing:,} differ; control {_control(found)}")
    if found.overtaken:
        say(f"  {found.overtaken:,} rows were asked before an earlier event arrived, and are compared without it")
    stage, version = store.stage("parity", name), FeatureSet.of(cfg.features, cfg.data).digest
    stage.write_json("parity.json", dataclasses.asdict(found))
    figures = {"rows": found.rows, "cells": found.cells, "differing": found.differing, "control": found.control}
    figures["overtaken"] = found.overtaken
    return stage.commit({"label": told.key}, {}, {"feature_view_version": version, **figures})


def of_log(cfg: Config) -> Parity:
    """What a comparison of the prediction log as it is finds."""
    store, feature_set = Store(cfg.storage.root), FeatureSet.of(cfg.features, cfg.data)
    return _compare(store, cfg, feature_set, _asked(store, cfg, feature_set))


def refuse_differences(report: Artifact) -> None:
    """Raise `GateRefused` for a report with differences, or one whose control was not found."""
    figures = report.figures
    if figures["differing"] or not figures["control"]:
        examples = [f"{one['feature']} of {one['id']}: {one['served']!r} served, {one['offline']!r} offline"
                    for one in report.read_json("parity.json")["examples"]]  # fmt: skip
        raise GateRefused(
            f"{figures['differing']:,} of {figures['cells']:,} served numbers differ from the offline ones (control"
            f" {'found' if figures['control'] else 'NOT found'}). The feature view may not go live again until they"
            f" agree; {report.uri}/parity.json has the features. First of them:\n  " + "\n  ".join(examples)
        )


def _control(found: Parity) -> str:
    return "found" if found.control else "NOT found"


def _asked(store: Store, cfg: Config, feature_set: FeatureSet) -> pa.Table:
    """What the endpoint was asked under this feature view: the first request of each event."""
    name = prediction_log.log_name(cfg.serve.application, ingest.key(cfg))
    chosen = pc.field("feature_view_version") == feature_set.digest
    columns = ["id", "received_at", "event", "features", "dimensions", *parity.NUMBERS]
    return prediction_log.first_answers(prediction_log.predictions(store, name).read(columns, rows=chosen))


def _compare(store: Store, cfg: Config, feature_set: FeatureSet, log: pa.Table) -> Parity:
    served_NF = np.array(log["features"].to_pylist(), np.float64).reshape(log.num_rows, len(feature_set.names))
    asked, until = parity.events_of(log, cfg.data), deploy.history_until(cfg)
    ledger = _ledger(store, cfg, until)
    positives = PositiveIntervals.of(ledger, cfg.data.id)
    history, offline_NF = _history(cfg, feature_set, until), np.empty_like(served_NF)
    name, overtaken = prediction_log.log_name(cfg.serve.application, ingest.key(cfg)), 0
    told = parity.corrections_of(prediction_log.told_corrections(store, name, cfg.data), cfg.data)
    for keys, row_N in _by_dimensions(cfg, log):
        looked_up = tables.load(store, feature_set, keys, cfg.data.entities, _token(cfg))
        found, overtaken_N = parity.recomputed(feature_set, history, asked, positives, looked_up, told)
        offline_NF[row_N] = np.stack([found[name] for name in feature_set.names], axis=1)[row_N]
        overtaken += int(overtaken_N[row_N].sum())
    return parity.compare(feature_set.names, log["id"].to_pylist(), served_NF, offline_NF, overtaken)


def _by_dimensions(cfg: Config, log: pa.Table) -> Iterator[tuple[dict[str, str], NDArray[np.bool_]]]:
    """The dimension snapshots that decisions were made from, and which; the config's where a record does not say."""
    said = pc.fill_null(log["dimensions"], json.dumps(dimensions.keys(cfg.features.tables)))
    for text in pc.unique(said).to_pylist():
        yield json.loads(text), pc.equal(said, text).to_numpy()


def _history(cfg: Config, feature_set: FeatureSet, until_us: int | None) -> pa.Table:
    """The snapshot's events that the endpoint began with, in all their versions, entities as tokens."""
    time = pc.field(cfg.data.event_time)
    since, until = (_time((until_us or 0) - back) for back in (feature_set.memory_us, 0))
    chosen, validated, versions = (time >= since) & (time < until), validate.run(cfg), Versions.of(cfg.data)
    events = versions.marked(versions.read(validated, chosen)) if versions else snapshots.read(validated, rows=chosen)
    return tokens.tokenised(events, cfg.data.entities, _token(cfg))


def _token(cfg: Config) -> tokens.ToToken:
    return tokens.cached(Keys(cfg.keys.folder).pseudonym())


def _ledger(store: Store, cfg: Config, until_us: int | None) -> pa.Table:
    """What the endpoint knew of labels: the ledger when it began, and what it was told since."""
    history = labels.read(store, ingest.key(cfg))
    began = pc.less_equal(history["known_time"], _time(until_us or 0))
    return history.filter(pc.or_(began, pc.equal(history["channel"], "feedback")))


def _time(time_us: int) -> Any:
    return pa.scalar(time_us, pa.int64()).cast(labels.TIME)


if __name__ == "__main__":
    door.main(run, __doc__)
