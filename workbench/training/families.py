"""Train every family, as many side by side as the cluster has room for: the driver's side of all worker groups."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from workbench import cluster
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Artifact, Store
from workbench.models.composition import Anomaly
from workbench.progress import say
from workbench.training import checks, needs, plan, room, run
from workbench.training.fits import Fold
from workbench.training.gather import Gathered, gather
from workbench.training.trained import Trained


class Trainers:
    """Waits for Ray Train in threads of one process: in the driver, Ctrl-C would wait for these threads."""

    def train(self, *arguments: Any) -> Trained:
        """See `run.train`."""
        return run.train(*arguments)


def train_each(
    features: Artifact,
    names: Sequence[str],
    order_by: str,
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    run_name: str,
) -> dict[str, Trained]:
    """Every family by `run.train`, as many at a time as the cluster has room for.

    Raises `EnvironmentFault` for workers without room and for a training that fails, `InputError` for a fold of one
    class.
    """
    needs.check(scaling, cfg)
    trainers = _trainers(len(cfg.families))
    rows = gather(features, names, order_by, plan.chosen(folds))
    checks.check(rows, cfg)
    scores = ray.put(_scores(trainers, rows, folds, cfg, scaling, features.store, run_name))

    def start(family: str) -> Any:
        return trainers.train.remote(family, rows, folds, cfg, scaling, features.store, run_name, scores)

    done = _side_by_side(start, cfg, scaling)
    return {family: done[family] for family in cfg.families}


def _trainers(threads: int) -> Any:
    beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # lost with us alone
    return ray.remote(num_cpus=0, max_concurrency=threads, scheduling_strategy=beside)(Trainers).remote()


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
    found, unscored = {}, [Fold(fold.name, fold.train) for fold in folds]
    for family in plan.anomaly_features(cfg):
        say(f"  train {family} as a feature ...")
        first = dataclasses.replace(cfg, seeds=cfg.seeds[:1])
        one = _result(trainers.train.remote(family, rows, unscored, first, scaling, store, f"feature-{run_name}"))
        found[family] = {fold: Anomaly(family, fit.model, fit.onnx) for (fold, _), fit in one.fits.items()}
    return found


def _side_by_side(start: Callable[[str], Any], cfg: TrainConfig, scaling: ScalingConfig) -> dict[str, Trained]:
    """What each family that was started gave, in the order in which they were through."""
    watch, waiting, done = room.Watch(), list(cfg.families), {}
    running: dict[Any, tuple[str, float]] = {}
    while waiting or running:
        while waiting and len(running) < needs.groups_at_once(scaling):
            family, started = waiting.pop(0), time.monotonic()
            running[start(family)] = family, started
            say(f"  train {family}: {scaling.workers} workers ...")
        finished, _ = ray.wait(list(running), timeout=room.LOOK_EVERY_S)
        if not finished:
            watch.look(*needs.most(cfg, [family for family, _ in running.values()], scaling))
            continue
        (ready,) = finished
        family, started = running.pop(ready)
        done[family] = _result(ready)
        say(f"  train {family} done in {time.monotonic() - started:.1f} s")
    return done


def _result(ready: Any) -> Trained:
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise cluster.ours(error) or error from None
