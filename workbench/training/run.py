"""Train one family through Ray Train: one worker group for all fits, checkpoints in the store.

The driver's side; the workers' side is `workers.py` and one file per framework. The rows of the folds pass through the
driver, which puts them in order and estimates the encodings, and reach the workers as shards of Ray Data. Each worker
holds its shard in memory: the folds must fit into the driver.
"""

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data
import ray.train

from workbench import cluster
from workbench.config import NetworkConfig, ScalingConfig, TrainConfig
from workbench.data import distributed
from workbench.data.store import Artifact
from workbench.errors import EnvironmentFault, InputError
from workbench.models.encoding import Encoding
from workbench.progress import say
from workbench.training.fits import Fit, Fitted, Fold, best_step
from workbench.training.workers import SCORED

if TYPE_CHECKING:
    from ray.data import Dataset

ENCODED_ROWS = 200_000  # rows that quantiles are estimated from, at the most


@dataclass(frozen=True)
class Trained:
    """A family after training: its fits by fold and seed, and the number of rounds or epochs that was chosen."""

    family: str
    steps: int
    fits: dict[tuple[str, int], Fitted]

    def logits_N(self, fold: str) -> np.ndarray:
        """Log-odds of a selecting fold's scored rows at the chosen step, averaged over the seeds."""
        chosen = [fit.logits_SN[fit.steps.index(self.steps)] for (name, _), fit in self.fits.items() if name == fold]
        return np.mean(chosen, axis=0)


class EvenShards(ray.train.DataConfig):
    """Every worker gets the same share of every dataset, in the same order each time, and no row is left out.

    Ray's own split equalises by leaving rows out, and hands out blocks to whoever asks first: another model each time.
    """

    def configure(self, datasets: dict[str, Any], world_size: int, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """The shards of each worker by name; what is scored goes whole to whoever asks (the first worker)."""
        shards: list[dict[str, Any]] = [{} for _ in range(world_size)]
        for name, data in datasets.items():
            parts = [data] * world_size if name.endswith(SCORED) else _even(data, world_size)
            for worker, part in enumerate(parts):
                shards[worker][name] = part.iterator()
        return shards


def train_each(
    features: Artifact,
    names: Sequence[str],
    order_by: str,
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    run_name: str,
) -> dict[str, Trained]:
    """Every family by `train` in a process of its own, as many at a time as the cluster has room for.

    Raises what `train` raises. No process loads two frameworks, and the caller none (see `models/native.py`).
    """
    alone = ray.remote(num_cpus=0, max_calls=1)(train)
    waiting, done = list(cfg.families), {}
    running: dict[Any, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < _room(scaling):
            family, started = waiting.pop(0), time.monotonic()
            running[alone.remote(family, features, names, order_by, folds, cfg, scaling, run_name)] = family, started
            say(f"  train {family}: {scaling.workers} workers ...")
        (ready, *_), _ = ray.wait(list(running))
        family, started = running.pop(ready)
        done[family] = _result(ready)
        say(f"  train {family} done in {time.monotonic() - started:.1f} s")
    return {family: done[family] for family in cfg.families}


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
    features: Artifact,
    names: Sequence[str],
    order_by: str,
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    run_name: str,
) -> Trained:
    """The family trained on every fold: first those that select the number of steps, then the others with it."""
    cluster.configure_data()
    data = {fold.name: _table(features, names, order_by, fold.train) for fold in folds}
    scored = {fold.name: _table(features, names, order_by, fold.score) for fold in folds if fold.score is not None}
    _check(family, data | {name + SCORED: table for name, table in scored.items()}, scaling)
    seeds = cfg.seeds[:1] if family == "xgboost" and _without_chance(cfg) else cfg.seeds
    fits = [Fit(fold.name, seed, fold.score is not None) for fold in folds for seed in seeds]
    fits.sort(key=lambda fit: not fit.selects)
    config = _config(family, fits, data, cfg, scaling)
    packed = _fit(family, config, _datasets(data, scored), scaling, features, run_name)
    done = {(fit.fold, fit.seed): Fitted.from_bytes(packed[fit.name]) for fit in fits}
    return Trained(family, best_step([done[fit.fold, fit.seed] for fit in fits if fit.selects]), done)


def _without_chance(cfg: TrainConfig) -> bool:
    """Whether all seeds give the same trees: nothing is sampled."""
    return cfg.xgboost.subsample == 1 and cfg.xgboost.colsample_bytree == 1


def _table(features: Artifact, names: Sequence[str], order_by: str, rows: pc.Expression) -> pa.Table:
    """Feature columns (float32) and the label of labelled rows, in the order of the rows' ids."""
    labelled = rows & pc.is_valid(pc.field("label"))
    table = distributed.gathered(features, [order_by, *names, "label"], labelled)
    table = table.sort_by(order_by).drop_columns([order_by])
    return table.cast(pa.schema([(name, pa.float32()) for name in table.column_names]))


def _check(family: str, tables: dict[str, pa.Table], scaling: ScalingConfig) -> None:
    for name, table in tables.items():
        classes = pc.count_distinct(table["label"]).as_py()
        if classes < 2:
            raise InputError(
                f"{family}: {name} holds {table.num_rows} labelled rows of {classes} class(es); training needs both."
                " Widen data.split or check the labels."
            )
    for kind, (there, needed) in _resources(scaling).items():
        if needed > there:
            raise EnvironmentFault(
                f"scaling.workers={scaling.workers} need {needed:g} {kind}s, and the cluster has {there:g}."
                " Use fewer workers, another scaling, or a larger cluster."
            )


def _config(
    family: str, fits: list[Fit], data: dict[str, pa.Table], cfg: TrainConfig, scaling: ScalingConfig
) -> dict[str, Any]:
    hyper = getattr(cfg, family)
    config = {"fits": fits, "hyper": hyper, "gpu": scaling.gpus_per_worker > 0}
    if family == "xgboost":
        return config
    encodings = {name: _encoding(table, hyper) for name, table in data.items()}
    rows = {name: (table.num_rows, scaling.workers) for name, table in data.items()}
    return config | {"encodings": encodings, "rows": rows, "epochs": hyper.epochs}


def _encoding(table: pa.Table, hyper: NetworkConfig) -> Encoding:
    step = -(-table.num_rows // ENCODED_ROWS)
    *columns, label = (table[name].to_numpy()[::step] for name in table.column_names)
    return Encoding.of(np.stack(columns, axis=1), label, hyper.bins, hyper.leaves)


def _datasets(data: dict[str, pa.Table], scored: dict[str, pa.Table]) -> dict[str, "Dataset"]:
    named = data | {name + SCORED: table for name, table in scored.items()}
    return {name: ray.data.from_arrow(table) for name, table in named.items()}


def _even(data: "Dataset", workers: int) -> list["Dataset"]:
    """Consecutive shares whose sizes differ by one row at the most."""
    if workers == 1:
        return [data]
    total = data.count()
    return data.split_at_indices([total * worker // workers for worker in range(1, workers)])


def _fit(
    family: str, config: dict[str, Any], datasets: dict[str, Any], scaling: ScalingConfig, features: Artifact, name: str
) -> dict[str, bytes]:
    module = importlib.import_module(f"workbench.training.{family}")
    store = features.store
    resources = {"CPU": scaling.cpus_per_worker} | ({"GPU": scaling.gpus_per_worker} if config["gpu"] else {})
    trainer = module.TRAINER(
        module.train,
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
        datasets=datasets,
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
