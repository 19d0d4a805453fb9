"""Runs as people and trackers see them: Weights & Biases online, offline or not at all, with the same calls for all.

The local record (`history.parquet` of the run's artifact) is the truth; the tracker holds a copy of it. Identifiers of
customers never leave: numbers, texts, digests and models do, rows of data do not.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from workbench.config import TrackerConfig
from workbench.data.store import Artifact, code_version
from workbench.errors import EnvironmentFault


class Run(Protocol):
    """One run of a step, open for writing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one step (round, epoch); steps may repeat between families, their names do not."""

    def summary(self, figures: Mapping[str, Any]) -> None:
        """Set the figures that the run is remembered by."""

    def artifact(self, artifact: Artifact, kind: str, whole: bool = False) -> None:
        """Refer to an artifact of the store by its URI and digests; `whole` adds its files, but never rows."""

    def checkpoints(self, name: str, digests: Mapping[str, str]) -> None:
        """Refer to the files of a finished training by URI and SHA-256, wherever they lie; none of them is read."""


class NullRun:
    """A run that nobody watches."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def summary(self, figures: Mapping[str, Any]) -> None:
        """Do nothing."""

    def artifact(self, artifact: Artifact, kind: str, whole: bool = False) -> None:
        """Do nothing."""

    def checkpoints(self, name: str, digests: Mapping[str, str]) -> None:
        """Do nothing."""


class WandbRun:
    """A run recorded by Weights & Biases, on disk (offline) or on its server."""

    def __init__(self, run: Any) -> None:
        self._run, self._rows = run, 0

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log numbers only; `step` is a metric of its own, since several families share one run.

        Rows are numbered from 0 in every attempt: of a run that is resumed, the tracker takes no number twice.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        self._run.log({"step": step, **numbers}, step=self._rows)
        self._rows += 1

    def summary(self, figures: Mapping[str, Any]) -> None:
        """Set the summary, nested names joined by `/`."""
        self._run.summary.update(flatten(figures))

    def artifact(self, artifact: Artifact, kind: str, whole: bool = False) -> None:
        """Log the manifest with the files' digests, and with `whole` the files that are no rows (a bundle) as well."""
        import wandb

        digests = {entry.name: entry.sha256 for entry in artifact.files} | artifact.manifest["blobs"]
        record = wandb.Artifact(f"{kind}-{artifact.key}", type=kind, metadata={"uri": artifact.uri, "sha256": digests})
        for name in ["manifest.json", *(artifact.manifest["blobs"] if whole else ())]:
            with record.new_file(name, mode="wb") as file:
                file.write(artifact.store.fs.open_input_stream(f"{artifact.folder}/{name}").read())
        self._run.log_artifact(record)

    def checkpoints(self, name: str, digests: Mapping[str, str]) -> None:
        """Log a list of places and digests: the tracker's own references ask for the bucket's client and its rights."""
        import wandb

        record = wandb.Artifact(f"checkpoint-{name}", type="checkpoint", metadata={"sha256": dict(digests)})
        with record.new_file("checkpoints.json") as file:
            json.dump([{"uri": uri, "sha256": sha256} for uri, sha256 in digests.items()], file, indent=1)
        self._run.log_artifact(record)


def check(tracker: TrackerConfig) -> None:
    """Raise `EnvironmentFault` where a run could not be told to W&B."""
    if tracker.mode == "wandb" and not os.environ.get("WANDB_API_KEY"):
        raise EnvironmentFault("tracker=wandb needs WANDB_API_KEY in the environment. Set it, or use tracker=offline.")


@contextlib.contextmanager
def open_run(tracker: TrackerConfig, run_id: str, job_type: str, config: Mapping[str, Any]) -> Iterator[Run]:
    """A run named `run_id` (the digest of what it does), closed at the end, marked failed when the block fails."""
    if tracker.mode == "disabled":
        yield NullRun()
        return
    check(tracker)
    run = _started(tracker, run_id, job_type, config)
    try:
        yield WandbRun(run)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
    _remove_cut_off(tracker, run)


def _remove_cut_off(tracker: TrackerConfig, run: Any) -> None:
    """Leave one offline record of a run: this one holds all that attempts before it wrote before they were killed."""
    folders = Path(tracker.folder).resolve().glob(f"wandb/offline-run-*-{run.id}")
    for one in folders if run.offline else ():
        if one.resolve() != Path(run.dir).resolve().parent and not list(one.glob("*.synced")):
            shutil.rmtree(one)


def flatten(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float | int | str | None]:
    """Nested figures as one level, `a/b/c`; what is neither a number nor a text is left out."""
    flat: dict[str, float | int | str | None] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        elif value is None or isinstance(value, float | int | str):
            flat[prefix + str(name)] = value
    return flat


def _started(tracker: TrackerConfig, run_id: str, job_type: str, config: Mapping[str, Any]) -> Any:
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    try:
        return _start_wandb(tracker, run_id, job_type, config)
    except wandb.errors.Error as error:
        raise EnvironmentFault(
            f"Weights & Biases refused: {error}. Check WANDB_API_KEY and the network, or use tracker=offline."
        ) from error


def _start_wandb(tracker: TrackerConfig, run_id: str, job_type: str, config: Mapping[str, Any]) -> Any:
    import wandb

    folder = Path(tracker.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_DATA_DIR", str(folder))  # where artifacts are staged: else under the user's home
    settings = wandb.Settings(disable_git=True, disable_code=True, console="off", silent=True)
    online = tracker.mode == "wandb"
    return wandb.init(
        project=tracker.project,
        id=f"{job_type}-{run_id}",
        name=f"{job_type} {run_id}",
        job_type=job_type,
        dir=folder,
        mode="online" if online else "offline",
        resume="allow" if online else None,
        config={**config, "code": code_version()},
        settings=settings,
    )
