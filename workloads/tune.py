"""Search hyperparameters: trials on the selecting folds alone, the winner loaded from its checkpoint and scored again.

With `tune.challenge` the best of each family are stacked, judged once on the test rows and registered as challenger.

Reads:  feature snapshot
Writes: sweep: trials.parquet, the winner, pictures, report.html; and for a challenger a run, an evaluation, a version
Run:    python -m workloads.tune tune=lightgbm tune.trials=16
"""

import dataclasses
import time
from typing import Any

import pyarrow.compute as pc
import ray

from workbench import cluster, tracking
from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import GateRefused
from workbench.evaluation import protocol, scoring
from workbench.features import columns
from workbench.features.definitions import FeatureSet
from workbench.progress import say
from workbench.release import ledger
from workbench.training import checks
from workbench.training.fits import SCORED, Fit, Fitted
from workbench.training.gather import gather
from workbench.training.plan import chosen
from workbench.training.trained import Trained
from workbench.tuning import alone, auto, report, room, sweep, trial
from workbench.tuning.records import Record, Records, best, best_of_each, finished
from workbench.tuning.space import Space, applied
from workbench.validation import check_learning
from workloads import door, evaluate, featurize, register, train

VERSION = 2
BUDGETS = ("trials", "time_budget_s", "plateau_trials", "plateau_gain")


def key(cfg: Config) -> str:
    """The name of the sweep."""
    check_learning(cfg)
    return digest("tune", VERSION, featurize.key(cfg), inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What a sweep depends on besides the features; what it runs on only decides how far it comes in its time."""
    searched = dataclasses.asdict(cfg.tune)
    for one in ("concurrent", "cpus_per_trial"):
        del searched[one]
    others = {name: value for name, value in train.inputs(cfg).items() if name not in ("workers", "device")}
    return {"tune": searched, **others, "families": dataclasses.asdict(cfg.train)}


def trials_key(cfg: Config) -> str:
    """The name of the folder of trials: without how long to search, so that a longer sweep goes on from these.

    How many trials a population has is what it is.
    """
    found, members = inputs(cfg), ("trials",) if cfg.tune.scheduler == "pbt" else ()
    for one in {*BUDGETS} - {*members}:
        del found["tune"][one]
    return digest("trials", VERSION, featurize.key(cfg), found)


def run(cfg: Config) -> Artifact:
    """The finished sweep; for a challenger the model version."""
    began = time.monotonic()
    space, cfg = Space.of(cfg), columns.completed(cfg)
    if cfg.tune.challenge:
        register.refuse_many(cfg)
    store, name = Store(cfg.storage.root), key(cfg)
    swept = store.find("sweeps", name)
    if swept is None:
        cluster.up(cfg)
        room.check(cfg.tune)
        features = featurize.run(cfg)
        if cfg.tune.challenge:  # what judges it has to be there before hours are spent
            scoring.check(features, protocol.of(cfg, features).test, protocol.remedy(cfg))
        swept = _swept(cfg, space, features, name, began)
    return _challenger(cfg, swept) if cfg.tune.challenge else swept


def _swept(cfg: Config, space: Space, features: Artifact, name: str, began: float) -> Artifact:
    folds = protocol.of(cfg, features)
    rows = gather(features, list(FeatureSet.of(cfg.features, cfg.data).names), cfg.data.id, chosen(folds.select))
    checks.check(rows, cfg.train)
    space = auto.fitting(cfg, space, min(one.rows for fold, one in rows.items() if not fold.endswith(SCORED)))
    records = Records.of(features.store, trials_key(cfg))
    shared = trial.Shared(cfg, features.key, folds.select, rows, records, time.time())
    about = {"experiment": cfg.name, "families": list(space.families)}
    with tracking.open_run(cfg.tracker, name, "tune", about) as tracked:
        done = sweep.run(cfg, space, shared, began, len(folds.test))
        gaps = _gaps(shared, best_of_each(done.records))
        artifact = _written(cfg, space, features, name, done, gaps)
        for number, one in enumerate(finished(done.records)):
            tracked.log(number, {f"{one.family}/{score}": value for score, value in one.scores.items()})
        tracked.summary(artifact.figures)
        tracked.artifact(artifact, "sweep")
    return artifact


def _gaps(shared: trial.Shared, each: dict[str, Record]) -> dict[str, float]:
    """The scores of trials less those of their checkpoints, loaded and scored again by processes of their own."""
    scoring, rows, again = ray.remote(max_calls=1, num_cpus=0)(alone.rescored), ray.put(shared.rows), {}
    for family, one in each.items():
        fits = shared.records.fits(one, [fit.name for fit in trial.plan(shared.cfg, one.values, shared.folds)])
        hyper = getattr(applied(shared.cfg, one.values).train, family)
        again[family] = scoring.remote(family, hyper, fits, rows)
    return {family: one.scores["average_precision"] - ray.get(again[family]) for family, one in each.items()}


def _written(
    cfg: Config, space: Space, features: Artifact, name: str, done: sweep.Sweep, gaps: dict[str, float]
) -> Artifact:
    stage = features.store.stage("sweeps", name)
    stage.files = [write_table(stage.store.fs, stage.folder, report.table(done.records, cfg.tune.objectives), "trials")]
    found = {family: report.importance(space, done.records, family) for family in space.families}
    pictures = {
        "importance": report.importance_picture(found),
        "parallel": report.parallel_picture(space, done.records),
    }
    for picture, content in pictures.items():
        stage.write_bytes(f"{picture}.svg", content)
    winner, each = best(done.records), best_of_each(done.records)
    assert winner is not None
    stage.write_json("importance.json", found)
    stage.write_json(
        "best.json", {family: {**dataclasses.asdict(one), "gap": gaps[family]} for family, one in each.items()}
    )
    page = report.page(cfg.name, done.why, done.records, cfg.tune.objectives, pictures)
    stage.write_bytes("report.html", page.encode())
    figures = {
        family: {f"validation_{score}": value for score, value in one.scores.items()} | {"gap": gaps[family]}
        for family, one in each.items()
    }
    figures["trials"] = {"all": len(done.records), "finished": len(finished(done.records))}
    score = winner.scores["average_precision"]
    say(f"  best: {winner.family}, average precision {score:.4f}; the sweep ended: {done.why}")
    return stage.commit({"features": features.key}, inputs(cfg), figures, winner=winner.family, why=done.why)


def winners(swept: Artifact) -> dict[str, Record]:
    """The best trial of each family of a sweep; raises `GateRefused` where one is not what was scored."""
    found = swept.read_json("best.json")
    if wrong := {family: one["gap"] for family, one in found.items() if one["gap"] != 0}:
        told = ", ".join(f"{family} by {gap:.3g}" for family, gap in wrong.items())
        raise GateRefused(
            f"{swept.uri}: the checkpoints of the best trials, scored again, differ from their scores: {told}. Another"
            " model was scored than was kept; do not register it. Delete the sweep and run it again."
        )
    return {family: Record(**{k: v for k, v in one.items() if k != "gap"}) for family, one in found.items()}


def tuned(cfg: Config, swept: Artifact, families: list[str] | None = None) -> Config:
    """The config that trains the winners: what `train`, `evaluate` and `register` take up."""
    for one in (found := winners(swept)).values():
        cfg = applied(cfg, one.values)
        hyper = getattr(cfg.train, one.family)
        if hasattr(hyper, "rounds"):  # an upper bound, of which the trial chose
            hyper.rounds = one.steps
    cfg.train.families = families or list(found)
    had = alone.scaling(cfg.tune)  # of more workers: other sums, other trees
    kept = {name: getattr(cfg.scaling, name) for name in ("name", "max_failures", "ray_cpus")}
    cfg.scaling = dataclasses.replace(had, **kept)
    return cfg


def _challenger(cfg: Config, swept: Artifact) -> Artifact:
    """The version made of the winners, registered beside the champion; its run is made of the sweep's own fits.

    Where a trial is a group of workers, `train` fits the winners as it always does: a process alone gives other sums.
    """
    found, features = winners(swept), featurize.run(cfg)
    cluster.up(cfg)
    folds = protocol.of(cfg, features)
    selected = _selections(cfg, swept, found, folds)
    labels = [
        featurize.table(features, [cfg.data.id, "label"], _labelled(one))["label"].to_numpy() for one in folds.select
    ]
    members = auto.members(selected, labels, list(found), cfg.train.ensemble)
    cfg = tuned(cfg, swept, members)
    if cfg.tune.workers_per_trial == 1 and Store(cfg.storage.root).find("runs", train.key(cfg)) is None:
        say(f"  fit {', '.join(members)} on the training rows")
        names = list(FeatureSet.of(cfg.features, cfg.data).names)
        rows = gather(features, names, cfg.data.id, {one.name: one.train for one in folds.test})
        tests = {family: _fit_on(cfg, family, found[family], rows, folds) for family in members}
        whole = {
            family: Trained(family, found[family].steps, {**selected[family], **ray.get(tests[family])})
            for family in members
        }
        train.keep(cfg, features, folds, lambda: whole, train.key(cfg))
    evaluate.shown(cfg)
    version = register.run(cfg)
    ledger.challenge(version.store, cfg.serve.application, version.key, f"best of sweep {swept.key}")
    say(f"  challenger of {cfg.serve.application}: {version.key}")
    return version


def _labelled(fold: Any) -> Any:
    return fold.score & pc.is_valid(pc.field("label"))


def _selections(
    cfg: Config, swept: Artifact, found: dict[str, Record], folds: protocol.Protocol
) -> dict[str, dict[tuple[str, int], Fitted]]:
    """The scored fits of each winner, by fold and seed."""
    records = Records.of(swept.store, trials_key(cfg))
    selected = {}
    for family, one in found.items():
        plan = trial.plan(cfg, one.values, folds.select)
        fits = records.fits(one, [fit.name for fit in plan])
        boosted = hasattr(getattr(cfg.train, family), "rounds")
        selected[family] = {
            (fit.fold, fit.seed): auto.upto(fits[fit.name], one.steps) if boosted else fits[fit.name] for fit in plan
        }
    return selected


def _fit_on(cfg: Config, family: str, winner: Record, rows: Any, folds: protocol.Protocol) -> Any:
    """A reference to the fits on the test folds' training rows."""
    hyper = getattr(cfg.train, family)
    seeds = cfg.train.seeds if hyper.by_chance else cfg.train.seeds[:1]
    fits = [Fit(fold.name, seed, selects=False) for fold in folds.test for seed in seeds]
    having = alone.scaling(cfg.tune)
    cpus, gpus = having.cpus_per_worker, having.gpus_per_worker
    work = ray.remote(max_calls=1, num_cpus=cpus, num_gpus=gpus)(auto.fit_on)
    return work.remote(family, hyper, fits, rows, winner.steps, having)


if __name__ == "__main__":
    door.main(run, __doc__)
