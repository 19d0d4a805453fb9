"""What the worker group of a family needs of the cluster, and how many groups there is room for at once."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import ray

from workbench.config import ScalingConfig, TrainConfig
from workbench.training import room
from workbench.training.plan import anomaly_features

Asked = tuple[str, int, room.Needs]  # in words, how many workers there must be, and what each needs


def check(scaling: ScalingConfig, cfg: TrainConfig) -> None:
    """Raise `EnvironmentFault` where the group of a family, or of a feature's, would wait for room without end."""
    needed = [of(getattr(cfg, family), scaling) for family in (*cfg.families, *anomaly_features(cfg))]
    for one in {repr(found): found for found in needed}.values():
        room.check(*_asked(one))


def most(cfg: TrainConfig, families: Iterable[str], scaling: ScalingConfig) -> Asked:
    """What the largest group of these families asks for."""
    return _asked(max((of(getattr(cfg, family), scaling) for family in families), key=least))


def of(hyper: Any, scaling: ScalingConfig) -> ScalingConfig:
    """What a family is trained on: one worker where its library does not spread a fit."""
    return dataclasses.replace(scaling, workers=1, min_workers=None) if hyper.alone else scaling


def least(scaling: ScalingConfig) -> int:
    """How many workers there must be."""
    return scaling.workers if scaling.min_workers is None else scaling.min_workers


def groups_at_once(scaling: ScalingConfig) -> int:
    """How many worker groups train at once; one at least.

    A worker keeps a whole CPU busy, whatever share of it it reserves: two groups on two CPUs, whose workers wait for
    each other at every step, took twice as long as one after the other.
    """
    return max(1, min(int(there // max(need, scaling.workers)) for there, need in _resources(scaling).values() if need))


def _resources(scaling: ScalingConfig) -> dict[str, tuple[float, float]]:
    """What the cluster has and what a worker group needs, by kind."""
    there = ray.cluster_resources()
    return {kind: (there.get(kind, 0), least(scaling) * one) for kind, one in _each(scaling).items()}


def _asked(scaling: ScalingConfig) -> Asked:
    key = "workers" if scaling.min_workers is None else "min_workers"
    return f"scaling.{key}={least(scaling)}", least(scaling), _each(scaling)


def _each(scaling: ScalingConfig) -> room.Needs:
    return {"CPU": scaling.cpus_per_worker, "GPU": scaling.gpus_per_worker}
