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

from workbench.errors import Diverged
from workbench.models.composition import Anomaly, Convert, Member
from workbench.models.correction import Correction
from workbench.models.graph import select_inputs
from workbench.training.anomaly import seen
from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.fits import SCORED, Fit, Fitted, Loop, Partial, Report, Rows, best_step
from workbench.training.rendezvous import rank, workers
from workbench.training.saver import Saver
from workbench.training.segments import Segment

DIVERGED = "diverged"  # the only name in the answer of a training that was stopped
FITTED = "fitted.npz"  # in a checkpoint, what the fit at hand gave so far; its other files are the framework's


def work_off(loop: Loop, to_onnx: Convert, fits: list[Fit], steps: int, config: Any) -> dict[str, bytes] | None:
    """All fits, packed by name, on rank 0 (None elsewhere).

    Fits that select come first and run for `steps`; the others run for the number of steps that those found best, or
    for `steps` too where none selects. Losses that are no numbers any more end the work of all workers alike, and Ray
    does not try again: the answer is the sentence that says so.
    A trial of a sweep says in `config` who works them off instead, in its own process: see `tuning/alone.py`.
    """
    if elsewhere := config.get("work_off"):
        return elsewhere(loop, to_onnx, fits, steps, config)
    shelf: Shelf = config["shelf"]
    config["rows"] = {name: (rows, len(workers())) for name, rows in config["rows"].items()}
    saver, kept = Saver(shelf), _resume(shelf)
    packed = shelf.read_fits(kept.done)
    done = {name: Fitted.from_bytes(content) for name, content in packed.items()}
    partial = {kept.fit: _partial(kept)} if kept.fit else {}
    segment = Segment.begin(shelf.store.fs, f"{shelf.folder}/history") if rank() == 0 else None
    selecting = [fit.name for fit in fits if fit.selects]
    for fit in fits:
        if fit.name in done:
            continue
        limit = steps if fit.selects or not selecting else _chosen([done[name] for name in selecting])
        shard, scored = _given(fit, config)
        report = _reporter(saver, fit, kept.done, segment)
        try:
            fitted = done[fit.name] = loop(shard, scored, limit, fit, config, partial.get(fit.name), report)
        except Diverged as stop:
            return {DIVERGED: str(stop).encode()} if rank() == 0 else None
        if rank() == 0:
            finish(fitted, fit, config, to_onnx)
            packed[fit.name] = fitted.to_bytes()
            kept.done[fit.name] = shelf.write_fit(fit.name, packed[fit.name])
        saver.save(Checkpoint(dict(kept.done)))
    return packed if rank() == 0 else None


def finish(fitted: Fitted, fit: Fit, config: Any, to_onnx: Convert) -> None:
    """Make the family's own model a member, and its log-odds those of the rows as they are."""
    correction, anomaly = Correction.of(config["hyper"]), config["anomalies"].get(fit.fold)
    fitted.logits_SN = [correction.applied(one).astype(np.float32) for one in fitted.logits_SN]
    member = Member(fitted.model, correction, anomaly)
    fitted.model = member.to_bytes()
    if not fit.selects:
        fitted.onnx = member.to_onnx(_selecting(to_onnx, config), config["width"] - (anomaly is not None))


def _selecting(to_onnx: Convert, config: Any) -> Convert:
    """The family's own conversion, of a graph that takes all inputs and looks at those that the family sees."""
    return lambda content, width: select_inputs(to_onnx(content, len(config["names"])), config["places"], width)


def _chosen(selecting: list[Fitted]) -> int:
    """The number of steps that rank 0, which alone scored the selecting fits, found best; the same on every rank."""
    return int(broadcast_from_rank_zero(best_step(selecting) if rank() == 0 else None))


def _given(fit: Fit, config: Any) -> tuple[Rows, Rows | None]:
    """The worker's shard of the rows of a fit, and on rank 0 those that it is scored on."""
    names, anomaly = config["names"], config["anomalies"].get(fit.fold)
    scored = rows_of(fit.fold + SCORED, names, anomaly) if fit.selects and rank() == 0 else None
    return rows_of(fit.fold, names, anomaly), scored


def rows_of(name: str, names: list[str], anomaly: Anomaly | None = None) -> Rows:
    """The worker's shard of a dataset: the inputs that its family sees, in order, and the label."""
    batches = ray.train.get_dataset_shard(name).iter_batches(batch_size=None, batch_format="pyarrow")
    table = pa.concat_tables([batch if anomaly else batch.select([*names, "label"]) for batch in batches])
    return Rows(seen(table, names, anomaly), table["label"].to_numpy().astype(np.float32))


def _reporter(saver: Saver, fit: Fit, done: dict[str, str], segment: Segment | None) -> Report:
    def report(step: int, fitted: Fitted, state: Callable[[], dict[str, bytes]]) -> None:
        if segment is None:
            return saver.save(Checkpoint())
        kept = Checkpoint(dict(done), fit.name, step, {FITTED: fitted.to_bytes(), **state()})
        return saver.save(kept, lambda: segment.add(fit.name, step, _metrics(fitted)))

    return report


def _metrics(fitted: Fitted) -> dict[str, float]:
    """The newest of each."""
    named = {"average_precision": fitted.average_precision, "train_loss": fitted.train_loss}
    return {name: values[-1] for name, values in named.items() if values}


def _resume(shelf: Shelf) -> Checkpoint:
    """What every rank goes on from: rank 0 looks, since a moment later there could be another."""
    newest = broadcast_from_rank_zero(shelf.newest() if rank() == 0 else None)
    return Checkpoint() if newest is None else shelf.read(newest)


def _partial(kept: Checkpoint) -> Partial:
    state = {name: content for name, content in kept.files.items() if name != FITTED}
    return Partial(kept.step, Fitted.from_bytes(kept.files[FITTED]), state)
