"""The worker group of a family, through Ray Train: the driver's side; the workers' is `workers.py`.

The rows reach the workers as shards of Ray Data (`shards.py`); each worker holds its shard in memory.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # the one in `ray.train` is the old one

from workbench.config import ScalingConfig
from workbench.training import failures, needs
from workbench.training.checkpoints import Shelf
from workbench.training.gather import Gathered
from workbench.training.rendezvous import Rendezvous
from workbench.training.shards import EvenShards, pieces

Work = Callable[[dict[str, Any]], Any]


def entry(family: str) -> Work:
    """What a worker of this family runs; its framework is imported there and nowhere else."""
    return lambda config: importlib.import_module(f"workbench.training.{family}").train(config)


def fit(
    family: str,
    work: Work,
    config: dict[str, Any],
    rows: Mapping[str, Gathered],
    scaling: ScalingConfig,
    shelf: Shelf,
) -> dict[str, bytes]:
    """What the first worker gave: every fit by its name, packed."""
    data = {name: one.dataset() for name, one in rows.items()}
    trainer = DataParallelTrainer(
        work,
        train_loop_config=config,
        scaling_config=_workers(config, scaling),
        run_config=_run(shelf, scaling),
        backend_config=Rendezvous(),
        datasets=data,
        dataset_config=_shards(rows, data, scaling),
    )
    try:
        return trainer.fit().return_value
    except ray.train.TrainingFailedError as error:
        raise failures.told(family, error, scaling) from error


def _workers(config: Mapping[str, Any], scaling: ScalingConfig) -> ray.train.ScalingConfig:
    resources = {"CPU": scaling.cpus_per_worker} | ({"GPU": scaling.gpus_per_worker} if config["gpu"] else {})
    return ray.train.ScalingConfig(num_workers=_count(scaling), use_gpu=config["gpu"], resources_per_worker=resources)


def _count(scaling: ScalingConfig) -> int | tuple[int, int]:
    """How many workers Ray starts; with a least number, as many as there is room for."""
    least = needs.least(scaling)
    return scaling.workers if least == scaling.workers else (least, scaling.workers)


def _run(shelf: Shelf, scaling: ScalingConfig) -> ray.train.RunConfig:
    return ray.train.RunConfig(
        name=shelf.name,
        storage_path=shelf.store.path("checkpoints"),
        storage_filesystem=shelf.store.fs,
        failure_config=ray.train.FailureConfig(max_failures=scaling.max_failures),
        checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
        logging_config=ray.train.LoggingConfig(log_level="ERROR"),
    )


def _shards(rows: Mapping[str, Gathered], data: Mapping[str, Any], scaling: ScalingConfig) -> EvenShards:
    """The datasets in pieces that serve every number of workers that there may be."""
    counts, of_each = range(needs.least(scaling), scaling.workers + 1), {name: one.rows for name, one in rows.items()}
    return EvenShards(of_each, {name: pieces(name, one, of_each[name], counts) for name, one in data.items()})
