"""Train families through Ray Train: one worker group a family for all its fits, checkpoints in the store.

The driver's side; the workers' side is `workers.py` and one file per framework. The rows reach the workers as shards of
Ray Data (`shards.py`); each worker holds its shard in memory.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # the one in `ray.train` is the old one

from workbench import cluster
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, InputError
from workbench.progress import say
from workbench.training.encode import encoding_of
from workbench.training.fits import SCORED, Fit, Fitted, Fold, best_step
from workbench.training.gather import Gathered, gather
from workbench.training.rendezvous import Rendezvous
from workbench.training.shards import EvenShards


@dataclass(frozen=True)
class Trained:
    """A family after training: its fits by fold and seed, and the number of rounds or epochs that was chosen."""

    family: str
    steps: int
    fits: dict[tuple[str, int], Fitted]

    def logits_N(self, fold: str) -> np.ndarray:
        """Log-odds of a selecting fold's scored rows at the chosen step, averaged over the seeds."""
        chosen = [fit.logits_at(self.steps) for (name, _), fit in self.fits.items() if name == fold]
        return np.mean(chosen, axis=0)


class Trainers:
    """Waits for Ray Train in threads of one process: in the driver, Ctrl-C would wait for these threads."""

    def train(self, *arguments: Any) -> Trained:
        """See `train`."""
        return train(*arguments)


def train_each(
    features: Artifact,
    names: Sequence[str],
    order_by: str,
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    run_name: str,
) -> dict[str, Trained]:
    """Every family by `train`, as many at a time as the cluster has room for.

    Raises `EnvironmentFault` for workers without room and for a training that fails, `InputError` for a fold of one
    class.
    """
    _check_room(scaling)
    trainers = ray.remote(num_cpus=0, max_concurrency=len(cfg.families))(Trainers).remote()
    rows = gather(features, names, order_by, chosen(folds))
    check_classes(rows)
    waiting, done = list(cfg.families), {}
    running: dict[Any, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < _room(scaling):
            family, started = waiting.pop(0), time.monotonic()
            running[trainers.train.remote(family, rows, folds, cfg, scaling, features.store, run_name)] = (
                family,
                started,
            )
            say(f"  train {family}: {scaling.workers} workers ...")
        (ready, *_), _ = ray.wait(list(running))
        family, started = running.pop(ready)
        done[family] = _result(ready)
        say(f"  train {family} done in {time.monotonic() - started:.1f} s")
    return {family: done[family] for family in cfg.families}


def chosen(folds: Sequence[Fold]) -> dict[str, pc.Expression]:
    """The rows of every fold and, beside them, those that it is scored on."""
    scored = {fold.name + SCORED: fold.score for fold in folds if fold.score is not None}
    return {fold.name: fold.train for fold in folds} | scored


def check_classes(rows: Mapping[str, Gathered]) -> None:
    """Raise `InputError` for a fold of one class."""
    for name, one in rows.items():
        if one.classes < 2:
            raise InputError(
                f"{name} holds {one.rows} labelled rows of {one.classes} class(es); training needs both."
                " Widen data.split or check the labels."
            )


def _check_room(scaling: ScalingConfig) -> None:
    for kind, (there, needed) in _resources(scaling).items():
        if needed > there:
            raise EnvironmentFault(
                f"scaling.workers={scaling.workers} need {needed:g} {kind}s, and the cluster has {there:g}."
                " Use fewer workers, another scaling, or a larger cluster."
            )


def _room(scaling: ScalingConfig) -> int:
    """How many worker groups train at once; one at least.

    A worker keeps a whole CPU busy, whatever share of it it reserves: two groups on two CPUs, whose workers wait for
    each other at every step, took twice as long as one after the other.
    """
    return max(1, min(int(there // max(need, scaling.workers)) for there, need in _resources(scaling).values() if need))


def _resources(scaling: ScalingConfig) -> dict[str, tuple[float, float]]:
    """What the cluster has and what a worker group needs, by kind."""
    there = ray.cluster_resources()
    needed = {"CPU": scaling.workers * scaling.cpus_per_worker, "GPU": scaling.workers * scaling.gpus_per_worker}
    return {kind: (there.get(kind, 0), need) for kind, need in needed.items()}


def _result(ready: Any) -> Trained:
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise cluster.ours(error) or error from None


def train(
    family: str,
    rows: Mapping[str, Gathered],
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    store: Store,
    run_name: str,
) -> Trained:
    """The family trained on every fold: first those that select the number of steps, then the others with it."""
    cluster.configure_data()
    hyper = getattr(cfg, family)
    scaling = dataclasses.replace(scaling, workers=1) if hyper.alone else scaling
    seeds = cfg.seeds if hyper.by_chance else cfg.seeds[:1]
    fits = [Fit(fold.name, seed, fold.score is not None) for fold in folds for seed in seeds]
    fits.sort(key=lambda fit: not fit.selects)
    config = config_of(hyper, fits, {fold.name: rows[fold.name] for fold in folds}, scaling)
    packed = _fit(family, entry(family), config, rows, scaling, store, run_name)
    done = {(fit.fold, fit.seed): Fitted.from_bytes(packed[fit.name]) for fit in fits}
    return Trained(family, best_step([done[fit.fold, fit.seed] for fit in fits if fit.selects]), done)


def entry(family: str) -> Callable[[dict[str, Any]], Any]:
    """What a worker of this family runs; its framework is imported there and nowhere else."""
    return lambda config: importlib.import_module(f"workbench.training.{family}").train(config)


def config_of(hyper: Any, fits: list[Fit], folds: Mapping[str, Gathered], scaling: ScalingConfig) -> dict[str, Any]:
    """What the workers of a family are told."""
    config = {"fits": fits, "hyper": hyper, "gpu": scaling.gpus_per_worker > 0}
    if not hyper.encoded:
        return config
    encode = ray.remote(num_cpus=0)(encoding_of)  # a trial that waits for it holds a CPU
    encodings = ray.get([encode.remote(fold, hyper.bins, hyper.leaves) for fold in folds.values()])
    counts = {name: (fold.rows, scaling.workers) for name, fold in folds.items()}
    return config | {"encodings": dict(zip(folds, encodings, strict=True)), "rows": counts, "epochs": hyper.epochs}


def _fit(
    family: str,
    work: Callable[[dict[str, Any]], Any],
    config: dict[str, Any],
    rows: Mapping[str, Gathered],
    scaling: ScalingConfig,
    store: Store,
    name: str,
) -> dict[str, bytes]:
    resources = {"CPU": scaling.cpus_per_worker} | ({"GPU": scaling.gpus_per_worker} if config["gpu"] else {})
    trainer = DataParallelTrainer(
        work,
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(
            num_workers=scaling.workers, use_gpu=config["gpu"], resources_per_worker=resources
        ),
        run_config=ray.train.RunConfig(
            name=f"{family}-{name}",
            storage_path=store.path("checkpoints"),
            storage_filesystem=store.fs,
            failure_config=ray.train.FailureConfig(max_failures=2),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
        ),
        backend_config=Rendezvous(),
        datasets={name: one.dataset() for name, one in rows.items()},
        dataset_config=EvenShards(),
    )
    try:
        return trainer.fit().return_value
    except ray.train.TrainingFailedError as error:
        raise EnvironmentFault(f"Training {family} failed: {_cause(error)} Run the command again to resume.") from error


def _cause(error: BaseException) -> str:
    """The innermost cause that a person can act on, in one line."""
    causes = getattr(error, "worker_failures", None) or {}
    first = next(iter(causes.values()), error)
    return " ".join(str(first).split())[-600:]
