"""What every training worker does, whatever the framework: take its shard, work off the fits, leave checkpoints.

One worker group fits one thing after the other, since starting a group costs more than a small fit. After a crash the
group starts again from the last checkpoint: finished fits are not repeated, and the one at hand goes on where it was.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.train
from ray.train.collective import broadcast_from_rank_zero

from workbench.errors import Diverged
from workbench.models.composition import Anomaly, Convert, Member, appended
from workbench.models.correction import Correction
from workbench.training.fits import SCORED, Fit, Fitted, Loop, Partial, Report, Rows, best_step

DIVERGED = "diverged"  # the only name in the answer of a training that was stopped


def work_off(
    loop: Loop, to_onnx: Convert, fits: list[Fit], steps: int, hyper: Any, checkpoint_every: int
) -> dict[str, bytes] | None:
    """All fits, packed by name, on rank 0 (None elsewhere).

    Fits that select come first and run for `steps`; the others run for the number of steps that those found best, or
    for `steps` too where none selects. Losses that are no numbers any more end the work of all workers alike, and Ray
    does not try again: the answer is the sentence that says so.
    """
    done, partial = _resume()
    selecting = [fit.name for fit in fits if fit.selects]
    for fit in fits:
        if fit.name in done:
            continue
        limit = steps if fit.selects or not selecting else _chosen([done[name] for name in selecting])
        anomaly = hyper["anomalies"].get(fit.fold)
        scored = _rows(fit.fold + SCORED, anomaly) if fit.selects and _rank() == 0 else None
        start = partial.pop(fit.name, None)
        report = _reporter(fit, done, checkpoint_every)
        try:
            fitted = loop(_rows(fit.fold, anomaly), scored, limit, fit, hyper, start, report)
        except Diverged as stop:
            return {DIVERGED: str(stop).encode()} if _rank() == 0 else None
        done[fit.name] = fitted
        if _rank() == 0:
            _finish(fitted, anomaly, hyper, None if fit.selects else to_onnx)
        _save({"done": done, "partial": None}) if _rank() == 0 else ray.train.report({})
    return {name: one.to_bytes() for name, one in done.items()} if _rank() == 0 else None


def _finish(fitted: Fitted, anomaly: Anomaly | None, config: Any, to_onnx: Convert | None) -> None:
    """Make the family's own model a member, and its log-odds those of the rows as they are."""
    correction = Correction.of(config["hyper"])
    fitted.logits_SN = [correction.applied(one).astype(np.float32) for one in fitted.logits_SN]
    member = Member(fitted.model, correction, anomaly)
    fitted.model = member.to_bytes()
    if to_onnx:
        fitted.onnx = member.to_onnx(to_onnx, len(config["names"]) - (anomaly is not None))


def _rank() -> int:
    return ray.train.get_context().get_world_rank()


def _chosen(selecting: list[Fitted]) -> int:
    """The number of steps that rank 0, which alone scored the selecting fits, found best; the same on every rank."""
    return int(broadcast_from_rank_zero(best_step(selecting) if _rank() == 0 else None))


def _rows(name: str, anomaly: Anomaly | None) -> Rows:
    """The worker's shard of a dataset, whose columns are the features in order and the label; an anomaly score last."""
    batches = ray.train.get_dataset_shard(name).iter_batches(batch_size=None, batch_format="pyarrow")
    table = pa.concat_tables(list(batches))
    columns = [table[column].to_numpy().astype(np.float32) for column in table.column_names]
    return Rows(appended(np.ascontiguousarray(np.stack(columns[:-1], axis=1)), anomaly), columns[-1])


def _reporter(fit: Fit, done: dict[str, Fitted], every: int) -> Report:
    def report(step: int, fitted: Fitted, state: Callable[[], dict[str, bytes]]) -> None:
        if step % every:
            return
        if _rank() == 0:
            _save({"done": done, "partial": (fit.name, Partial(step, fitted, state()))})
        else:
            ray.train.report({})  # a report is a barrier: every rank must come to it

    return report


def _save(what: dict[str, Any]) -> None:
    """Report a checkpoint: one file per finished fit, and the state of the one at hand."""
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as path:  # Ray has copied it when `report` returns
        _write(Path(path), what)
        ray.train.report({}, checkpoint=ray.train.Checkpoint.from_directory(path))


def _write(folder: Path, what: dict[str, Any]) -> None:
    for name, fitted in what["done"].items():
        (folder / f"{name}.npz").write_bytes(fitted.to_bytes())
    if what["partial"] is not None:
        name, partial = what["partial"]
        (folder / "partial.npz").write_bytes(partial.fitted.to_bytes())
        (folder / "partial.json").write_text(json.dumps({"fit": name, "step": partial.step}))
        for key, content in partial.state.items():
            (folder / f"state.{key}").write_bytes(content)


def _resume() -> tuple[dict[str, Fitted], dict[str, Partial]]:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return {}, {}
    with checkpoint.as_directory() as path:
        folder = Path(path)
        done = {one.stem: Fitted.from_bytes(one.read_bytes()) for one in folder.glob("*.npz") if one.stem != "partial"}
        if not (folder / "partial.json").exists():
            return done, {}
        at = json.loads((folder / "partial.json").read_text())
        state = {one.name.removeprefix("state."): one.read_bytes() for one in folder.glob("state.*")}
        fitted = Fitted.from_bytes((folder / "partial.npz").read_bytes())
        return done, {at["fit"]: Partial(at["step"], fitted, state)}
