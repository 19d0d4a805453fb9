"""Train families through Ray Train: one worker group a family for all its fits, checkpoints in the store.

The driver's side; the workers' side is `workers.py` and one file per framework. The rows reach the workers as shards of
Ray Data (`shards.py`); each worker holds its shard in memory.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # the one in `ray.train` is the old one
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from workbench import cluster
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Artifact, Store
from workbench.digest import digest, sha256
from workbench.errors import Diverged, InputError, raise_all
from workbench.models import inputs
from workbench.models.composition import NAME, Anomaly
from workbench.progress import say
from workbench.training import checks, failures, room, segments
from workbench.training.checkpoints import Shelf
from workbench.training.encode import encoded, encoding_of, vocabularies_of
from workbench.training.fits import SCORED, Fit, Fitted, Fold, best_step
from workbench.training.gather import Gathered, gather
from workbench.training.rendezvous import Rendezvous
from workbench.training.sampling import thinned
from workbench.training.shards import EvenShards, pieces
from workbench.training.workers import DIVERGED

VERSION = 3  # of the loops: checkpoints of another version are refused


@dataclass(frozen=True)
class Trained:
    """A family after training: its fits by fold and seed, and the number of rounds or epochs that was chosen."""

    family: str
    steps: int
    fits: dict[tuple[str, int], Fitted]
    segments: dict[int, pa.Table] = field(default_factory=dict)  # what each attempt did, see `segments.py`
    checkpoints: dict[str, str] = field(default_factory=dict)  # the files of its fits: URI and SHA-256

    def logits_N(self, fold: str, seeds: Sequence[int]) -> np.ndarray:
        """Log-odds of a selecting fold's scored rows at the chosen step, averaged over those of the seeds it has."""
        chosen = [
            fit.logits_at(self.steps) for (name, seed), fit in self.fits.items() if name == fold and seed in seeds
        ]
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
    _check_room(scaling, cfg)
    beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # lost with us alone
    actor = ray.remote(num_cpus=0, max_concurrency=len(cfg.families), scheduling_strategy=beside)(Trainers)
    trainers = actor.remote()
    rows = gather(features, names, order_by, chosen(folds))
    checks.check(rows, cfg)
    scores = ray.put(_scores(trainers, rows, folds, cfg, scaling, features.store, run_name))
    watch, waiting, done = room.Watch(), list(cfg.families), {}
    running: dict[Any, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < _room(scaling):
            family, started = waiting.pop(0), time.monotonic()
            asked = trainers.train.remote(family, rows, folds, cfg, scaling, features.store, run_name, scores)
            running[asked] = family, started
            say(f"  train {family}: {scaling.workers} workers ...")
        finished, _ = ray.wait(list(running), timeout=room.LOOK_EVERY_S)
        if not finished:
            most = max((_of(getattr(cfg, family), scaling) for family, _ in running.values()), key=_least)
            watch.look(_said(most), _least(most), {"CPU": most.cpus_per_worker, "GPU": most.gpus_per_worker})
            continue
        (ready,) = finished
        family, started = running.pop(ready)
        done[family] = _result(ready)
        say(f"  train {family} done in {time.monotonic() - started:.1f} s")
    return {family: done[family] for family in cfg.families}


def chosen(folds: Sequence[Fold]) -> dict[str, pc.Expression]:
    """The rows of every fold and, beside them, those that it is scored on."""
    scored = {fold.name + SCORED: fold.score for fold in folds if fold.score is not None}
    return {fold.name: fold.train for fold in folds} | scored


def anomaly_features(cfg: TrainConfig) -> list[str]:
    """The unsupervised families whose scores are inputs of others."""
    asked = [getattr(getattr(cfg, family), "anomaly_feature", None) for family in cfg.families]
    return sorted({family for family in asked if family})


def _scores(
    trainers: Any,
    rows: Mapping[str, Gathered],
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    store: Store,
    run_name: str,
) -> dict[str, dict[str, Anomaly]]:
    """For each unsupervised family that others take the score of, its model of each fold's training rows.

    No row is scored and no label chooses its steps: they are those of the config.
    """
    found, plan = {}, [Fold(fold.name, fold.train) for fold in folds]
    for family in anomaly_features(cfg):
        say(f"  train {family} as a feature ...")
        first = dataclasses.replace(cfg, seeds=cfg.seeds[:1])
        one = _result(trainers.train.remote(family, rows, plan, first, scaling, store, f"feature-{run_name}"))
        found[family] = {fold: Anomaly(family, fit.model, fit.onnx) for (fold, _), fit in one.fits.items()}
    return found


def _check_room(scaling: ScalingConfig, cfg: TrainConfig) -> None:
    """Raise `EnvironmentFault` where the group of a family, or of a feature's, would wait for room without end."""
    for one in {repr(found): found for found in (_of(getattr(cfg, name), scaling) for name in _needed(cfg))}.values():
        room.check(_said(one), _least(one), {"CPU": one.cpus_per_worker, "GPU": one.gpus_per_worker})


def _needed(cfg: TrainConfig) -> list[str]:
    return [*cfg.families, *anomaly_features(cfg)]


def _of(hyper: Any, scaling: ScalingConfig) -> ScalingConfig:
    """What a family is trained on: one worker where its library does not spread a fit."""
    return dataclasses.replace(scaling, workers=1, min_workers=None) if hyper.alone else scaling


def _said(scaling: ScalingConfig) -> str:
    key = "workers" if scaling.min_workers is None else "min_workers"
    return f"scaling.{key}={_least(scaling)}"


def _room(scaling: ScalingConfig) -> int:
    """How many worker groups train at once; one at least.

    A worker keeps a whole CPU busy, whatever share of it it reserves: two groups on two CPUs, whose workers wait for
    each other at every step, took twice as long as one after the other.
    """
    return max(1, min(int(there // max(need, scaling.workers)) for there, need in _resources(scaling).values() if need))


def _resources(scaling: ScalingConfig) -> dict[str, tuple[float, float]]:
    """What the cluster has and what a worker group needs, by kind."""
    there = ray.cluster_resources()
    least = _least(scaling)
    needed = {"CPU": least * scaling.cpus_per_worker, "GPU": least * scaling.gpus_per_worker}
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
    scores: Mapping[str, dict[str, Anomaly]] | None = None,
) -> Trained:
    """The family trained on every fold: first those that select the number of steps, then the others with it.

    Where no fold selects, all take the steps of the config. `scores` are the models whose scores may be inputs.
    """
    cluster.configure_data()
    hyper = getattr(cfg, family)
    scaling = _of(hyper, scaling)
    seeds = cfg.seeds if hyper.by_chance else cfg.seeds[:1]
    fits = [Fit(fold.name, seed, fold.score is not None) for fold in folds for seed in seeds]
    fits.sort(key=lambda fit: not fit.selects)
    share = hyper.negative_share if hyper.supervised else 1
    taken = {fold.name: thinned(rows[fold.name], share) for fold in folds}
    scored = {fold.name + SCORED: rows[fold.name + SCORED] for fold in folds if fold.score is not None}
    _check_rows(family, taken, scaling)
    anomalies = (scores or {})[hyper.anomaly_feature] if hyper.supervised and hyper.anomaly_feature else {}
    config = config_of(hyper, fits, taken, scaling, anomalies)
    config["shelf"] = shelf = Shelf(store, f"{family}-{run_name}", _plan(config, taken | scored, scaling))
    shelf.prepare()
    packed = _fit(family, entry(family), config, taken | scored, scaling, shelf)
    if stopped := packed.get(DIVERGED):
        raise Diverged(f"Training {family} was stopped. {stopped.decode()}")
    return _trained(family, fits, packed, shelf)


def _check_rows(family: str, rows: Mapping[str, Gathered], scaling: ScalingConfig) -> None:
    """Raise `InputError` where a worker would have no row to train on."""
    few = {name: one.rows for name, one in rows.items() if one.rows < scaling.workers}
    raise_all(
        InputError,
        f"There are fewer rows than workers for {family}:",
        [
            f"{name} holds {count} rows to train on for scaling.workers={scaling.workers}. Use at most {count} workers,"
            " or widen data.split."
            for name, count in few.items()
        ],
    )


def _trained(family: str, fits: Sequence[Fit], packed: Mapping[str, bytes], shelf: Shelf) -> Trained:
    done = {(fit.fold, fit.seed): Fitted.from_bytes(packed[fit.name]) for fit in fits}
    selecting = [done[fit.fold, fit.seed] for fit in fits if fit.selects]
    steps = best_step(selecting) if selecting else max(done[fits[0].fold, fits[0].seed].steps)
    kept = {shelf.uri_of_fit(name): sha256(content) for name, content in packed.items()}
    return Trained(family, steps, done, segments.read(shelf.store.fs, f"{shelf.folder}/history"), kept)


def _plan(config: Mapping[str, Any], rows: Mapping[str, Gathered], scaling: ScalingConfig) -> str:
    """The digest of what the fits of a family depend on."""
    counts = {name: (one.rows, one.classes) for name, one in rows.items()}
    anomalies = {fold: sha256(one.onnx) for fold, one in config["anomalies"].items()}
    device = ["gpu"] if config["gpu"] else []  # it sums in another order
    return digest(VERSION, config["fits"], config["hyper"], counts, anomalies, scaling.workers, *device)


def entry(family: str) -> Callable[[dict[str, Any]], Any]:
    """What a worker of this family runs; its framework is imported there and nowhere else."""
    return lambda config: importlib.import_module(f"workbench.training.{family}").train(config)


def config_of(
    hyper: Any,
    fits: list[Fit],
    folds: Mapping[str, Gathered],
    scaling: ScalingConfig,
    anomalies: Mapping[str, Anomaly] | None = None,
) -> dict[str, Any]:
    """What the workers of a family are told."""
    of_all, added = next(iter(folds.values())).names, [NAME] if anomalies else []
    width = len(of_all) + len(added)
    names = [*inputs.names_of(hyper, of_all), *added]
    places = [*inputs.places_of(hyper, of_all), *range(len(of_all), width)]
    config = {"fits": fits, "hyper": hyper, "gpu": scaling.gpus_per_worker > 0, "threads": _threads(scaling)}
    config |= {"names": names, "places": places, "width": width, "anomalies": dict(anomalies or {})}
    config |= {"rows": {name: fold.rows for name, fold in folds.items()}}
    if not hyper.encoded:
        return config
    return config | _prepared(hyper, folds, names, config["anomalies"]) | {"epochs": hyper.epochs}


def _prepared(
    hyper: Any, folds: Mapping[str, Gathered], names: Sequence[str], anomalies: Mapping[str, Anomaly]
) -> dict[str, Any]:
    """For each fold the encoding of a network's inputs and the vocabularies of its embeddings, one task each."""
    task, of = ray.remote(num_cpus=0), encoded(hyper, names)  # a trial that waits for them holds a CPU
    encode, learn = task(encoding_of), task(vocabularies_of)
    encodings = [encode.remote(fold, hyper.bins, hyper.leaves, of, anomalies.get(name)) for name, fold in folds.items()]
    vocabularies = [learn.remote(fold, hyper.embedded) for fold in folds.values()] if hyper.embedded else []
    known = dict(zip(folds, ray.get(vocabularies) or [{}] * len(folds), strict=True))
    return {"encodings": dict(zip(folds, ray.get(encodings), strict=True)), "vocabularies": known}


def _threads(scaling: ScalingConfig) -> int:
    """How many threads a worker computes with: one for each whole CPU that it reserves."""
    return max(1, int(scaling.cpus_per_worker))


def _count(scaling: ScalingConfig) -> int | tuple[int, int]:
    """How many workers Ray starts; with a least number, as many as there is room for."""
    least = _least(scaling)
    return scaling.workers if least == scaling.workers else (least, scaling.workers)


def _least(scaling: ScalingConfig) -> int:
    """How many workers there must be."""
    return scaling.workers if scaling.min_workers is None else scaling.min_workers


def _shards(rows: Mapping[str, Gathered], data: Mapping[str, Any], scaling: ScalingConfig) -> EvenShards:
    """The datasets in pieces that serve every number of workers that there may be."""
    counts, of_each = range(_least(scaling), scaling.workers + 1), {name: one.rows for name, one in rows.items()}
    return EvenShards(of_each, {name: pieces(name, one, of_each[name], counts) for name, one in data.items()})


def _fit(
    family: str,
    work: Callable[[dict[str, Any]], Any],
    config: dict[str, Any],
    rows: Mapping[str, Gathered],
    scaling: ScalingConfig,
    shelf: Shelf,
) -> dict[str, bytes]:
    resources = {"CPU": scaling.cpus_per_worker} | ({"GPU": scaling.gpus_per_worker} if config["gpu"] else {})
    data = {name: one.dataset() for name, one in rows.items()}
    trainer = DataParallelTrainer(
        work,
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(
            num_workers=_count(scaling), use_gpu=config["gpu"], resources_per_worker=resources
        ),
        run_config=ray.train.RunConfig(
            name=shelf.name,
            storage_path=shelf.store.path("checkpoints"),
            storage_filesystem=shelf.store.fs,
            failure_config=ray.train.FailureConfig(max_failures=scaling.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
        ),
        backend_config=Rendezvous(),
        datasets=data,
        dataset_config=_shards(rows, data, scaling),
    )
    try:
        return trainer.fit().return_value
    except ray.train.TrainingFailedError as error:
        raise failures.told(family, error, scaling) from error
