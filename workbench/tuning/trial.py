"""One trial: a family with drawn hyperparameters, fitted on every selecting fold, scored, and left in the store."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import tune

from workbench import cluster
from workbench.config import Config
from workbench.digest import digest
from workbench.errors import EnvironmentFault
from workbench.evaluation import metrics
from workbench.models import inputs, scorer
from workbench.training import failures
from workbench.training.fits import SCORED, Fit, Fitted, Fold, average_precision
from workbench.training.gather import Gathered
from workbench.training.run import train
from workbench.tuning import alone, population
from workbench.tuning.config import FIRST, TuneConfig
from workbench.tuning.records import FAILED, FINISHED, Record, Records
from workbench.tuning.schedulers import PROGRESS
from workbench.tuning.space import FAMILY, Values, applied

VERSION = 2
AGAIN = "-again"  # what the name of a fold ends with that is fitted to the step that was chosen


@dataclass(frozen=True)
class Shared:
    """What all trials of a sweep are given; the rows are references into the memory of the cluster."""

    cfg: Config
    features: str  # key of the feature snapshot
    folds: tuple[Fold, ...]  # those that select
    rows: Mapping[str, Gathered]
    records: Records
    began: float  # when the sweep began, on the clock of all processes, less what attempts before it took


def _hyper(shared: Shared, values: Values) -> Any:
    """The hyperparameters of the drawn family."""
    return getattr(applied(shared.cfg, values).train, values[FAMILY])


def key(shared: Shared, values: Values, schedule: population.Schedule | None = None) -> str:
    """The name of a trial: the digest of all that its scores depend on, the values that held before included."""
    hyper = _hyper(shared, values)
    tuned = shared.cfg.tune
    how = [tuned.patience, tuned.workers_per_trial, tuned.objectives]
    before = [[step, held] for step, held in schedule[:-1]] if schedule else []
    of = [shared.features, values[FAMILY], hyper, plan(shared.cfg, values, shared.folds), how]
    return digest("trial", VERSION, *of, *before)


def plan(cfg: Config, values: Values, folds: tuple[Fold, ...]) -> list[Fit]:
    """The fits of a trial: every selecting fold, with every seed where chance matters."""
    hyper = getattr(applied(cfg, values).train, values[FAMILY])
    seeds = cfg.train.seeds if hyper.by_chance else cfg.train.seeds[:1]
    return [Fit(fold.name, seed, selects=True) for fold in folds for seed in seeds]


def run(values: Values, shared: Shared) -> None:
    """The trainable: fit, report every step, and leave what was scored where it is found again."""
    started, origin = time.time(), population.Start.given().now(values)
    name = key(shared, values, origin.schedule)
    if known := shared.records.find(name):
        return _again(known)
    cluster.configure_data()
    try:
        fits, steps = _fitted(values, shared, origin)
    except Exception as error:
        if failures.passing(error):
            raise  # Tune tries it again, and so does the next command
        why = " ".join(str(cluster.ours(error) or error).split())[-400:]
        shared.records.write(Record(name, values, FAILED, at_s=time.time() - shared.began, why=why), {})
        raise EnvironmentFault(f"Trial {name} of {values[FAMILY]} failed: {why}") from error
    record = _record(name, values, shared, fits, steps, started)
    if origin.schedule[1:]:
        record = dataclasses.replace(record, schedule=origin.schedule)
    shared.records.write(record, fits)
    return tune.report(told(record))


def _again(known: Record) -> None:
    """What came of the same trial before."""
    if known.status == FINISHED:
        return tune.report(told(known))
    raise EnvironmentFault(f"Trial {known.name} of {known.family} was {known.status}: {known.why}")


def told(record: Record) -> dict[str, Any]:
    """What Tune is told of a finished trial."""
    return {**record.scores, PROGRESS: 100, FINISHED: True, "seconds": record.seconds, "trial": record.name}


def _judge(shared: Shared, values: Values, origin: population.Start) -> alone.Judge:
    """Reports each step; says no after too many rounds of a boosted family without a gain."""
    boosted = hasattr(getattr(shared.cfg.train, values[FAMILY]), "rounds")
    patience = shared.cfg.tune.patience if boosted else None

    def judge(now: alone.Standing) -> bool:
        percent = max(1, min(99, 100 * now.step // now.steps))
        scores = {**dict.fromkeys(shared.cfg.tune.objectives, now.best.mean), FIRST: now.best.mean}
        tune.report({**scores, PROGRESS: percent})
        return patience is None or now.step - now.best.step < patience

    return _of_population(shared.cfg.tune, origin) if shared.cfg.tune.scheduler == "pbt" else judge


def _of_population(told: TuneConfig, origin: population.Start) -> alone.Judge:
    """Reports as often as a population compares its trials, each time with what another one may go on from."""
    seen = {"step": origin.step}

    def judge(now: alone.Standing) -> bool:
        percent = 100 * now.step // now.steps
        if now.step < now.steps and 100 * (now.step - seen["step"]) >= told.perturb_percent * now.steps:
            seen["step"] = now.step
            population.report({FIRST: now.mean, PROGRESS: percent}, now.start(origin.schedule))
        return True

    return judge


def _fitted(values: Values, shared: Shared, origin: population.Start) -> tuple[dict[str, Fitted], int]:
    """The fits by name and the number of steps that was chosen: in this process, or by a group of workers."""
    cfg, family = applied(shared.cfg, values), values[FAMILY]
    fits = plan(cfg, values, shared.folds)
    if cfg.tune.workers_per_trial == 1:
        judge, hyper, having = _judge(shared, values, origin), getattr(cfg.train, family), alone.scaling(cfg.tune)
        found = alone.fit(family, hyper, fits, shared.rows, judge, start=origin, having=having)
        return found, _best_step(found)
    return _by_workers(cfg, family, fits, shared, key(shared, values))


def _by_workers(cfg: Config, family: str, fits: list[Fit], shared: Shared, name: str) -> tuple[dict[str, Fitted], int]:
    """The same by a group, which keeps the models of the last step: it fits once more, to the step that was chosen."""
    folds = [*shared.folds, *(Fold(f"{one.name}{AGAIN}", one.train) for one in shared.folds)]
    rows = {**shared.rows, **{f"{one.name}{AGAIN}": shared.rows[one.name] for one in shared.folds}}
    having, store = alone.scaling(cfg.tune), shared.records.store
    whole = train(family, rows, folds, cfg.train, having, store, f"trial-{name}")
    found = {}
    for one in fits:
        scored, kept = whole.fits[one.fold, one.seed], whole.fits[f"{one.fold}{AGAIN}", one.seed]
        found[one.name] = dataclasses.replace(scored, logits_SN=[scored.logits_at(whole.steps)], model=kept.model)
    return found, whole.steps


def _best_step(fits: Mapping[str, Fitted]) -> int:
    """The step with the highest mean; the first of equal ones."""
    mean = np.mean([one.average_precision for one in fits.values()], axis=0)
    return next(iter(fits.values())).steps[int(np.argmax(mean))]


def _record(
    name: str, values: Values, shared: Shared, fits: Mapping[str, Fitted], steps: int, started: float
) -> Record:
    """The record of a trial: its scores are those of the checkpoint that is kept, read anew by its framework."""
    folds, areas, hyper = [], [], _hyper(shared, values)
    for fit, fitted in fits.items():
        scored = shared.rows[fit.rpartition("-seed")[0] + SCORED]
        label_N, logit_N = alone.scored_again(values[FAMILY], hyper, fitted, scored)
        fitted.logits_SN = [logit_N]
        folds.append(average_precision(label_N, logit_N))
        areas.append(metrics.roc_auc(label_N, logit_N))
    scores = {FIRST: float(np.mean(folds)), "roc_auc": float(np.mean(areas))}
    scores["model_bytes"] = float(np.mean([len(one.model) for one in fits.values()]))
    if "latency_us" in shared.cfg.tune.objectives:
        scores["latency_us"] = _latency_us(values[FAMILY], hyper, next(iter(fits.values())), shared)
    now = time.time()
    return Record(name, values, FINISHED, scores, folds, steps, now - started, now - shared.began)


def _latency_us(family: str, hyper: Any, fitted: Fitted, shared: Shared) -> float:
    """Median time of scoring one row the way the endpoint does."""
    import importlib

    from workbench.models import composition, graph

    names = shared.rows[shared.folds[0].name].names
    width, places = len(names), inputs.places_of(hyper, names)
    convert = importlib.import_module(f"workbench.models.{family}").to_onnx
    member = composition.Member.from_bytes(fitted.model).to_onnx(convert, len(places))
    member = graph.select_inputs(member, places, width)
    one = scorer.Scorer(graph.merge({family: member}, [1.0], 0.0, width))
    return float(np.median([_timed(lambda: one.one([0.0] * width)) for _ in range(300)]) * 1e6)


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
