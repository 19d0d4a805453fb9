"""Hold the replayed decisions against what the model promised: drift, latency, and performance on matured labels.

Judged are the answers of this config's version to events of the replayed span (`replay.start`, `replay.days`), the
first to each. The report is found again by version, span and `monitor`'s keys, whatever was asked since: for other days
replay those, from data that has them.

Reads:  prediction log; label ledger (what the endpoint was told); the version's reference profile
Writes: monitoring report: findings and a verdict; the exit code is 0 whatever the verdict
Run:    python -m workloads.monitor monitor.performance_drop=0.2
"""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import labels
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import EnvironmentFault
from workbench.evaluation import metrics
from workbench.features.timeline import micros
from workbench.feedback import drift, prediction_log, shapes, verdict
from workbench.governance.keys import Keys, token
from workbench.models.bundle import Bundle, open_bundle
from workbench.progress import say
from workloads import door, ingest, label, register, replay

VERSION = 3


def key(cfg: Config) -> str:
    """The name of the monitoring report."""
    return digest("monitor", VERSION, label.key(cfg), cfg.monitor)


def run(cfg: Config) -> Artifact:
    """The finished report; its verdict is printed."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("monitoring", name):
        return done
    told, version = label.run(cfg), register.run(cfg)
    bundle = open_bundle(version, Keys(cfg.keys.folder).verifying())
    log = _predictions(store, cfg, version.key)
    _check_whole(log, replay.run(cfg).figures["events"])
    features = prediction_log.features(log, bundle.feature_set.names)
    findings = {
        "rows": log.num_rows,
        "drift": [dataclasses.asdict(one) for one in _drift(cfg, bundle, features)],
        "shapes": shapes.counted(bundle.reference["shapes"], features),
        "latency_ms": _latency(log),
        "performance": _performance(cfg, store, log, dt.datetime.fromisoformat(told.figures["clock"])),
        "promised": bundle.reference["figures"],
        "interval": bundle.reference["intervals"]["average_precision"],
    }
    decided = verdict.decide(findings, cfg.monitor)
    say(f"  verdict: {decided.verdict}. {' '.join(decided.reasons)}")
    stage = store.stage("monitoring", name)
    stage.write_json("findings.json", findings)
    figures = {
        **dataclasses.asdict(decided),
        "performance": findings["performance"],
        "latency_ms": findings["latency_ms"],
    }
    return stage.commit({"label": told.key, "model": version.key}, cfg.monitor, figures)


def _predictions(store: Store, cfg: Config, version: str) -> pa.Table:
    """The version's decisions on the replayed span; a request that was repeated counts by its first answer."""
    first, last = (pa.scalar(one, labels.TIME) for one in replay.span(cfg, replay.events_of(cfg)))
    times = pc.field("event_time")
    window = (pc.field("model_version") == version) & (times >= first) & (times <= last)
    name = prediction_log.log_name(cfg.serve.application, ingest.key(cfg))
    return prediction_log.first_answers(prediction_log.predictions(store, name).read(rows=window))


def _check_whole(log: pa.Table, replayed: int) -> None:
    """Raise `EnvironmentFault` where decisions are missing: what is left would be judged as if it were all."""
    if log.num_rows < replayed:
        raise EnvironmentFault(
            f"the prediction log has {log.num_rows:,} of {replayed:,} replayed decisions of this version. See"
            " serve.journal for what was not moved into it, or replay again with another storage.root."
        )


def _drift(cfg: Config, bundle: Bundle, features: pa.Table) -> list[drift.Drift]:
    profile = bundle.reference["profile"]
    return drift.measure(profile, features, cfg.monitor.false_alarm_rate, cfg.monitor.drift_floor)


def _latency(log: pa.Table) -> dict[str, float]:
    """Percentiles of the time from the parsed request to the decision, before it is recorded."""
    values = log["latency_us"].to_numpy() / 1000
    shares = {"p50": 50, "p95": 95, "p99": 99}
    return {name: float(np.percentile(values, share)) for name, share in shares.items()} if len(values) else {}


def _performance(cfg: Config, store: Store, log: pa.Table, clock: dt.datetime) -> dict[str, Any]:
    """Figures on the decisions whose labels have matured and were told, by the evaluation's own rules."""
    history = labels.read(store, ingest.key(cfg), known_at=clock, channel="feedback")
    newest = labels.newest(history, cfg.data.id)
    place = pc.index_in(log["id"], value_set=newest[cfg.data.id].cast(pa.string()).combine_chunks())
    rows = log.append_column("label", newest["label"].take(place.combine_chunks()))
    matured = rows.filter(pc.is_valid(rows["label"]))
    figures: dict[str, Any] = {"matured": matured.num_rows, "waiting": log.num_rows - matured.num_rows}
    matured = _without_known(cfg, matured)
    label_N, score_N = matured["label"].to_numpy(), matured["score"].to_numpy()
    if len(np.unique(label_N)) < 2:
        return figures | {"judged": 0}
    place = _card(cfg)
    cards = None if place is None else pc.list_element(matured["entities"], place).to_numpy(zero_copy_only=False)
    found = metrics.figures(label_N, score_N, micros(matured["event_time"]), cards)
    ends = metrics.intervals([(label_N, score_N)], cfg.evaluate.bootstrap_samples)["average_precision"]
    return {**figures, "judged": matured.num_rows, **found, "interval": list(ends)}


def _card(cfg: Config) -> int | None:
    """Which of the logged entities is the one whose known positives are left out; None: none is."""
    column = cfg.data.split.exclude_known
    return cfg.data.entities.index(column) if column in cfg.data.entities else None


def _without_known(cfg: Config, rows: pa.Table) -> pa.Table:
    """Leave out customers who were known to be defrauded, as the evaluation does."""
    place = _card(cfg)
    if place is None or rows.num_rows == 0:
        return rows
    events = replay.events_of(cfg)
    first, _ = replay.span(cfg, events)
    before = dt.timedelta(cfg.data.split.train_days + cfg.data.split.delay_days)
    start = (first - before).replace(hour=0, minute=0, second=0)
    seen = replay.positives_by_day(cfg, start, first)
    key, entity = Keys(cfg.keys.folder).pseudonym(), cfg.data.entities[place]
    known_from = {token(key, entity, value): day for value, day in seen.items()}
    tokens = pc.list_element(rows["entities"], place).to_pylist()
    kept = [
        known_from.get(one, dt.datetime.max.replace(tzinfo=dt.UTC)) > at
        for one, at in zip(tokens, rows["event_time"].to_pylist(), strict=True)
    ]
    return rows.filter(pa.array(kept))


if __name__ == "__main__":
    door.main(run, __doc__)
