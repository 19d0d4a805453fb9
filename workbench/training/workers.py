"""What every training worker does, whatever the framework: take its shard, work off the fits, leave checkpoints.

One worker group fits one thing after the other, since starting a group costs more than a small fit. After a crash the
group starts again from the last checkpoint: finished fits are not repeated, and the one at hand goes on where it was.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import ray.train
from ray.train.collective import broadcast_from_rank_zero

from workbench.models.graph import select_inputs
from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.fits import SCORED, Fit, Fitted, Loop, Partial, Report, Rows, best_step
from workbench.training.rendezvous import workers
from workbench.training.saver import Saver
from workbench.training.segments import Segment

Convert = Callable[[bytes, int], bytes]  # a framework's file and the number of features to an ONNX graph
FITTED = "fitted.npz"  # in a checkpoint, what the fit at hand gave so far; its other files are the framework's


def work_off(loop: Loop, to_onnx: Convert, fits: list[Fit], steps: int, config: Any) -> dict[str, bytes] | None:
    """All fits, packed by name, on rank 0 (None elsewhere).

    Fits that select come first and run for `steps`; the others run for the number of steps that those found best.
    A trial of a sweep says in `config` who works them off instead, in its own process: see `tuning/alone.py`.
    """
    if elsewhere := config.get("work_off"):
        return elsewhere(loop, to_onnx, fits, steps, config)
    shelf: Shelf = config["shelf"]
    names, places = config["names"], config["places"]
    config["rows"] = {name: (rows, len(workers())) for name, rows in config["rows"].items()}
    saver, kept = Saver(shelf), _resume(shelf)
    packed = shelf.read_fits(kept.done)
    done = {name: Fitted.from_bytes(content) for name, content in packed.items()}
    partial = {kept.fit: _partial(kept)} if kept.fit else {}
    segment = Segment.begin(shelf.store.fs, f"{shelf.folder}/history") if _rank() == 0 else None
    for fit in fits:
        if fit.name in done:
            continue
        limit = steps if fit.selects else _chosen([done[one.name] for one in fits if one.selects])
        scored = rows_of(fit.fold + SCORED, names) if fit.selects and _rank() == 0 else None
        report = _reporter(saver, fit, kept.done, segment)
        shard = rows_of(fit.fold, names)
        fitted = done[fit.name] = loop(shard, scored, limit, fit, config, partial.get(fit.name), report)
        if _rank() == 0 and not fit.selects:
            fitted.onnx = select_inputs(to_onnx(fitted.model, len(names)), places, config["width"])
        if _rank() == 0:
            packed[fit.name] = fitted.to_bytes()
            kept.done[fit.name] = shelf.write_fit(fit.name, packed[fit.name])
        saver.save(Checkpoint(dict(kept.done)))
    return packed if _rank() == 0 else None


def _rank() -> int:
    return ray.train.get_context().get_world_rank()


def _chosen(selecting: list[Fitted]) -> int:
    """The number of steps that rank 0, which alone scored the selecting fits, found best; the same on every rank."""
    return int(broadcast_from_rank_zero(best_step(selecting) if _rank() == 0 else None))


def rows_of(name: str, names: list[str]) -> Rows:
    """The worker's shard of a dataset: the features that its family sees, in order, and the label."""
    batches = ray.train.get_dataset_shard(name).iter_batches(batch_size=None, batch_format="pyarrow")
    table = pa.concat_tables([batch.select([*names, "label"]) for batch in batches])
    *columns, label = (column.to_numpy().astype(np.float32) for column in table.columns)
    return Rows(np.ascontiguousarray(np.stack(columns, axis=1)), label)


def _reporter(saver: Saver, fit: Fit, done: dict[str, str], segment: Segment | None) -> Report:
    def report(step: int, fitted: Fitted, state: Callable[[], dict[str, bytes]]) -> None:
        if segment is None:
            return saver.save(Checkpoint())
        saver.shelf.check_owner()
        segment.add(fit.name, step, _metrics(fitted))
        return saver.save(Checkpoint(dict(done), fit.name, step, {FITTED: fitted.to_bytes(), **state()}))

    return report


def _metrics(fitted: Fitted) -> dict[str, float]:
    """The newest of each."""
    named = {"average_precision": fitted.average_precision, "train_loss": fitted.train_loss}
    return {name: values[-1] for name, values in named.items() if values}


def _resume(shelf: Shelf) -> Checkpoint:
    """What every rank goes on from: rank 0 looks, since a moment later there could be another."""
    newest = broadcast_from_rank_zero(shelf.newest() if _rank() == 0 else None)
    return Checkpoint() if newest is None else shelf.read(newest)


def _partial(kept: Checkpoint) -> Partial:
    state = {name: content for name, content in kept.files.items() if name != FITTED}
    return Partial(kept.step, Fitted.from_bytes(kept.files[FITTED]), state)
