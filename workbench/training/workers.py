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

from workbench.training.fits import SCORED, Fit, Fitted, Loop, Partial, Report, Rows, best_step

Convert = Callable[[bytes, int], bytes]  # a framework's file and the number of features to an ONNX graph


def work_off(
    loop: Loop, to_onnx: Convert, fits: list[Fit], steps: int, hyper: Any, checkpoint_every: int
) -> dict[str, bytes] | None:
    """All fits, packed by name, on rank 0 (None elsewhere).

    Fits that select come first and run for `steps`; the others run for the number of steps that those found best.
    A trial of a sweep says in `hyper` who works them off instead, in its own process: see `tuning/alone.py`.
    """
    if elsewhere := hyper.get("work_off"):
        return elsewhere(loop, to_onnx, fits, steps, hyper)
    done, partial = _resume()
    for fit in fits:
        if fit.name in done:
            continue
        limit = steps if fit.selects else _chosen([done[one.name] for one in fits if one.selects])
        scored = rows_of(fit.fold + SCORED) if fit.selects and _rank() == 0 else None
        start = partial.pop(fit.name, None)
        report = _reporter(fit, done, checkpoint_every)
        shard = rows_of(fit.fold)
        fitted = done[fit.name] = loop(shard, scored, limit, fit, hyper, start, report)
        if _rank() == 0 and not fit.selects:
            fitted.onnx = to_onnx(fitted.model, shard.x_NF.shape[1])
        _save({"done": done, "partial": None}) if _rank() == 0 else ray.train.report({})
    return {name: one.to_bytes() for name, one in done.items()} if _rank() == 0 else None


def _rank() -> int:
    return ray.train.get_context().get_world_rank()


def _chosen(selecting: list[Fitted]) -> int:
    """The number of steps that rank 0, which alone scored the selecting fits, found best; the same on every rank."""
    return int(broadcast_from_rank_zero(best_step(selecting) if _rank() == 0 else None))


def rows_of(name: str) -> Rows:
    """The worker's shard of a dataset: the columns are the features in order, the label last."""
    batches = ray.train.get_dataset_shard(name).iter_batches(batch_size=None, batch_format="pyarrow")
    table = pa.concat_tables(list(batches))
    columns = [table[column].to_numpy().astype(np.float32) for column in table.column_names]
    return Rows(np.ascontiguousarray(np.stack(columns[:-1], axis=1)), columns[-1])


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
