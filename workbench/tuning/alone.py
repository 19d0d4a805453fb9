"""Fits in the process at hand, without a worker group: the same loops, rows and order of work as a group of one.

A family's entry calls `work_off`; here it is given one that keeps what a trial needs and asks after every step whether
to go on. Ray Train's local mode answers what the loops ask of their surroundings (rank, device).
"""

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from workbench.config import ScalingConfig
from workbench.models import inputs
from workbench.models.composition import Convert, Member
from workbench.training import checks, group, plan, rendezvous, workers
from workbench.training.fits import SCORED, Fit, Fitted, Loop, Partial, Report, average_precision
from workbench.training.gather import Gathered
from workbench.tuning import population
from workbench.tuning.config import TuneConfig
from workbench.tuning.lockstep import Lockstep, Side

ALONE = ScalingConfig(name="trial", workers=1, cpus_per_worker=1.0)


def scaling(told: TuneConfig) -> ScalingConfig:
    """What a trial has: its own process with its CPUs and GPUs, or as many workers, each with so much."""
    return ScalingConfig("trial", told.workers_per_trial, None, 2, told.cpus_per_trial, told.gpus_per_trial)


@dataclass(frozen=True)
class Held:
    """Rows in the memory of the cluster, as a worker asks for its shard."""

    parts: list[Any]

    def iter_batches(self, **_: Any) -> Iterator[pa.Table]:
        """The parts in order."""
        yield from map(ray.get, self.parts)


@dataclass
class Best:
    """The step with the highest mean so far, and what each fit was at it."""

    step: int = 0
    mean: float = -1.0
    models: dict[str, bytes] = field(default_factory=dict)
    logits: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, start: population.Start) -> "Best":
        """What it was before."""
        models = {name: one.model for name, one in start.best.items()}
        return cls(start.best_step, start.best_mean, models, {n: one.logits_SN[-1] for n, one in start.best.items()})

    def see(self, step: int, sides: Mapping[str, Side]) -> float:
        """The mean at a step; kept where none before was as high."""
        mean = float(np.mean([side.fitted.average_precision[-1] for side in sides.values()]))
        if mean > self.mean:
            self.step, self.mean = step, mean
            self.models = {name: _model(side) for name, side in sides.items()}
            self.logits = {name: side.fitted.logits_SN[-1] for name, side in sides.items()}
        return mean


@dataclass(frozen=True)
class Standing:
    """How a trial stands after a step."""

    step: int
    steps: int  # of how many
    mean: float  # average precision at this step
    best: Best
    sides: Mapping[str, Side]

    def start(self, schedule: population.Schedule) -> population.Start:
        """What it, or another one, may go on from."""
        partial = {name: population.partial(self.step, side) for name, side in self.sides.items()}
        best = {name: _kept(side.fitted, self.best, name) for name, side in self.sides.items()}
        return population.Start(partial, best, self.best.step, self.best.mean, schedule)


Judge = Callable[[Standing], bool]  # whether to go on


def fit(
    family: str,
    hyper: Any,
    fits: Sequence[Fit],
    rows: Mapping[str, Gathered],
    judge: Judge,
    steps: int | None = None,
    start: population.Start | None = None,
    having: ScalingConfig = ALONE,
) -> dict[str, Fitted]:
    """The fits by name. Those that select go on while `judge` says so, and hold the model of their best common step.

    Fits that do not select run for `steps`. All give what a worker group gives: members, and log-odds of the rows as
    they are.
    """
    rendezvous.tell_alone()
    folds = plan.taken(hyper, rows, [one.fold for one in fits])
    checks.check_shares(family, hyper, folds, having)
    config = plan.config_of(hyper, list(fits), folds, having)
    config["work_off"] = functools.partial(work_off, judge=judge, chosen=steps, start=start or population.Start())
    scored = {name: one for name, one in rows.items() if name.endswith(SCORED) and name.removesuffix(SCORED) in folds}
    asked = {name: Held(one.parts) for name, one in (folds | scored).items()}
    trainer = DataParallelTrainer(
        group.entry(family),
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(num_workers=0),
        datasets=asked,
    )
    return dict(trainer.fit().return_value)


def work_off(
    loop: Loop,
    to_onnx: Convert,
    fits: list[Fit],
    steps: int,
    config: Any,
    *,
    judge: Judge,
    chosen: int | None,
    start: population.Start,
) -> dict[str, Fitted]:
    """What `workers.work_off` gives, unpacked: first the fits that select, side by side, then the others."""
    config["rows"] = {name: (rows, 1) for name, rows in config["rows"].items()}
    done = _selected(loop, [one for one in fits if one.selects], steps, config, judge, start)
    for one in fits:
        if not one.selects:
            shard = workers.rows_of(one.fold, config["names"])
            done[one.name] = loop(shard, None, chosen or steps, one, config, None, lambda *_: None)
        workers.finish(done[one.name], one, config, to_onnx)
    return done


def _selected(
    loop: Loop, fits: list[Fit], steps: int, config: Any, judge: Judge, start: population.Start
) -> dict[str, Fitted]:
    best = Best.of(start)
    lockstep = Lockstep({one.name: _start(loop, one, steps, config, start.partial.get(one.name)) for one in fits})
    for step in lockstep if fits else ():
        mean = best.see(step, lockstep.sides)
        if not judge(Standing(step, steps, mean, best, lockstep.sides)):
            break
    if fits and not best.step:  # a loop that has one step reports none
        best.see(lockstep.sides[fits[0].name].fitted.steps[-1], lockstep.sides)
    return {name: _kept(side.fitted, best, name) for name, side in lockstep.sides.items()}


def _start(loop: Loop, one: Fit, steps: int, config: Any, partial: Partial | None) -> Callable[[Report], Fitted]:
    def start(report: Report) -> Fitted:
        scored, shard = (workers.rows_of(name, config["names"]) for name in (one.fold + SCORED, one.fold))
        return loop(shard, scored, steps, one, config, partial, report)

    return start


def _kept(fitted: Fitted, best: Best, name: str) -> Fitted:
    """The fit with its whole history, and the log-odds and the model of the best step alone."""
    history = Fitted(fitted.steps, fitted.average_precision, fitted.train_loss)
    history.logits_SN, history.model = [best.logits[name]], best.models[name]
    return history


def _model(side: Side) -> bytes:
    """The framework's own file of the newest step: the first part of its state, or of a loop that is through."""
    return side.fitted.model if side.state is None else next(iter(side.state().values()))


def scored_again(family: str, hyper: Any, fitted: Fitted, scored: Gathered) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and log-odds [N] of scored rows by the file of a fit, read anew by its framework and corrected."""
    table = pa.concat_tables(list(Held(scored.parts).iter_batches()))
    table = table.select([*inputs.names_of(hyper, scored.names), "label"])
    *columns, label_N = (column.to_numpy().astype(np.float32) for column in table.columns)
    x_NF = np.ascontiguousarray(np.stack(columns, axis=1))
    member = Member.from_bytes(fitted.model)
    own_N = np.asarray(importlib.import_module(f"workbench.models.{family}").logits(member.model, x_NF), np.float32)
    return label_N, member.correction.applied(own_N).astype(np.float32)


def rescored(family: str, hyper: Any, fits: Mapping[str, Fitted], rows: Mapping[str, Gathered]) -> float:
    """The mean average precision of fits, by name, on the rows that their folds are scored on."""
    folds = {name: name.rpartition("-seed")[0] + SCORED for name in fits}
    again = [scored_again(family, hyper, fits[name], rows[fold]) for name, fold in folds.items()]
    return float(np.mean([average_precision(*one) for one in again]))
