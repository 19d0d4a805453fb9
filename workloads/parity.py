"""Compute again offline what the endpoint served, and compare every feature of every logged row bit for bit.

Reads:  prediction log and corrections; replay; validated snapshot; label ledger; dimension snapshots that the log names
Writes: parity report: rows, cells, differing cells with examples (exit code 1 when there are any,
        when replayed decisions are missing, or when there is nothing to compare); then the release ledger
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
from workbench.feedback.came import Came
from workbench.governance import tokens
from workbench.governance.keys import Keys
from workbench.progress import say
from workbench.release import ledger
from workloads import door, ingest, label, register, replay, validate
from workloads.endpoint.given import history_until

VERSION = 3


def key(cfg: Config) -> str:
    """The name of the newest parity report of the log as it is, or of the first that will be."""
    return _keys(cfg)[-1]


def _keys(cfg: Config) -> list[str]:
    """The names of all reports of the log as it is: one that refused is no answer to the next who asks."""
    store = Store(cfg.storage.root)
    log = prediction_log.predictions(store, log_name(cfg))
    seen = log.read(["id"], rows=_mine(cfg, register.key(cfg))).num_rows if log.exists() else 0
    names: list[str] = []
    while not names or ((made := store.find("parity", names[-1])) and not parity.holds(made.figures)):
        names.append(digest("parity", VERSION, label.key(cfg), seen, len(names)))
    return names


def run(cfg: Config) -> Artifact:
    """The report; raises `GateRefused` when a number that was served is not the number that is trained on."""
    report = compared(cfg)
    refuse(report)
    return report


def compared(cfg: Config) -> Artifact:
    """The report, whatever it says."""
    told, store = label.run(cfg), Store(cfg.storage.root)
    name = key(cfg)  # the log has all that was asked for the replay
    if done := store.find("parity", name):
        return done
    found, missing = of_log(cfg), _missing(cfg)
    _tell(found)
    stage, version = store.stage("parity", name), FeatureSet.of(cfg.features, cfg.data).digest
    stage.write_json("parity.json", dataclasses.asdict(found))
    counts = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    figures = {name: count for name, count in counts.items() if isinstance(count, int)} | {"missing": missing}
    about = {"log": log_name(cfg), "application": cfg.serve.application, "model_version": register.key(cfg)}
    return stage.commit({"label": told.key}, {}, {"feature_view_version": version, **about, **figures})


def of_log(cfg: Config, version: str | None = None) -> Parity:
    """What a comparison of a version's decisions (None: of the config's) in the prediction log as it is finds."""
    store, feature_set = Store(cfg.storage.root), FeatureSet.of(cfg.features, cfg.data)
    log = prediction_log.predictions(store, log_name(cfg))
    columns = ["id", "received_at", "event", *parity.NUMBERS]
    mine = log.read([*columns, "features", "dimensions"], rows=_mine(cfg, version or register.key(cfg)))
    came = Came.of(log.read([*columns, "history"]), _began(cfg))
    return _compare(store, cfg, feature_set, prediction_log.in_turn(mine)[0], came)


def refuse(report: Artifact) -> None:
    """Raise `GateRefused` for a report that does not show that all agrees; the version is no champion any more."""
    if parity.holds(figures := report.figures):
        return
    ledger.withdraw(report.store, figures["application"], figures["model_version"], f"parity report {report.key}")
    raise GateRefused("\n  ".join([_said(report), *_examples(report)]))


def _said(report: Artifact) -> str:
    figures, said = report.figures, []
    if figures["missing"]:
        said.append(f"{figures['missing']:,} replayed decisions are not in the prediction log.")
    said.append(
        f"{figures['differing']:,} of {figures['cells']:,} numbers that version {figures['model_version']} served"
        f" differ from the offline ones (control {_found(figures['control'])}). The feature view may not go live again"
        f" until they agree; {report.uri}/parity.json has the features."
    )
    return " ".join(said)


def _examples(report: Artifact) -> list[str]:
    return [
        f"{one['feature']} of {one['id']}: {one['served']!r} served, {one['offline']!r} offline"
        for one in report.read_json("parity.json")["examples"]
    ]


def _tell(found: Parity) -> None:
    say(f"  {found.rows:,} rows, {found.cells:,} numbers, {found.differing:,} differ; control {_found(found.control)}")
    if found.overtaken:
        say(f"  {found.overtaken:,} rows were asked before an earlier event arrived, and are compared without it")
    if found.late:
        say(f"  {found.late:,} rows came later than a horizon, and are compared with what was remembered")


def _found(control: bool) -> str:
    return "found" if control else "NOT found"


def log_name(cfg: Config) -> str:
    """The name of the prediction log that is compared."""
    return prediction_log.log_name(cfg.serve.application, ingest.key(cfg))


def _missing(cfg: Config) -> int:
    """How many decisions of the replay are not among those that are compared."""
    figures = replay.run(cfg).figures
    mine = _mine(cfg, register.key(cfg)) & pc.starts_with(pc.field("request_id"), figures["requests"])
    asked = prediction_log.predictions(Store(cfg.storage.root), log_name(cfg)).read(["request_id"], rows=mine)
    return int(figures["events"]) - pc.count_distinct(asked["request_id"]).as_py()


def _began(cfg: Config) -> str:
    return prediction_log.history_name(validate.key(cfg), history_until(cfg))


def _mine(cfg: Config, version: str) -> pc.Expression:
    """The decisions of a version that were made from a state which began with this config's history.

    Other versions', and those of an endpoint with another `replay.start`, are other reports' matter.
    """
    return (pc.field("model_version") == version) & (pc.field("history") == _began(cfg))


def _compare(store: Store, cfg: Config, feature_set: FeatureSet, log: pa.Table, came: Came) -> Parity:
    served_NF = np.array(log["features"].to_pylist(), np.float64).reshape(log.num_rows, len(feature_set.names))
    until = history_until(cfg)
    positives = PositiveIntervals.of(_ledger(store, cfg, until), cfg.data.id)
    history, offline_NF = _history(cfg, feature_set, until), np.empty_like(served_NF)
    told = parity.corrections_of(prediction_log.told_corrections(store, log_name(cfg), cfg.data), cfg.data)
    overtaken, late = 0, 0
    for keys, spell, row_N in _at_once(cfg, log, came):
        asked, others = (parity.events_of(one, cfg.data) for one in (log.filter(pa.array(row_N)), came.until(spell)))
        looked_up = tables.load(store, feature_set, keys, cfg.data.entities, _token(cfg))
        found, overtaken_N = parity.recomputed(feature_set, history, asked, positives, looked_up, told, others)
        offline_NF[row_N] = np.stack([found[name] for name in feature_set.names], axis=1)
        overtaken += int(overtaken_N.sum())
        late += int(parity.late_rows(feature_set, history, asked, others).sum())
    return parity.compare(feature_set.names, log["id"].to_pylist(), served_NF, offline_NF, overtaken, late)


def _at_once(cfg: Config, log: pa.Table, came: Came) -> Iterator[tuple[dict[str, str], int, NDArray[np.bool_]]]:
    """Dimension snapshots and spell, and which answers were made from them: one to an event at most.

    `log` is in the order of `in_turn`.
    """
    turn, spell = prediction_log.in_turn(log)[1], came.spell_of(log)
    for keys, from_it in _by_dimensions(cfg, log):
        for one, number in np.unique(np.stack([spell, turn])[:, from_it], axis=1).T.tolist():
            yield keys, one, from_it & (spell == one) & (turn == number)


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
