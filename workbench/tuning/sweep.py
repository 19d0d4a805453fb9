"""A sweep: Ray Tune runs the trials, the store keeps them; a sweep that was killed goes on with those that are over."""

import contextlib
import io
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray import tune
from ray.tune import Callback

from workbench.config import Config
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workbench.tuning import population, room, trial
from workbench.tuning.config import FIRST
from workbench.tuning.records import FAILED, FINISHED, STOPPED, Record, best
from workbench.tuning.schedulers import scheduler
from workbench.tuning.search import Ends, searcher
from workbench.tuning.space import FAMILY, Space

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # three files a trial, of what the store keeps anyway
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it ends the sweep as if it were through
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",  # a loop that does not report cannot be asked to end
    "TUNE_RESULT_BUFFER_LENGTH": "0",
}


@dataclass(frozen=True)
class Sweep:
    """The trials of a finished sweep, and why it ended."""

    records: list[Record]
    why: str


def run(cfg: Config, space: Space, shared: trial.Shared, began: float | None = None, tests: int = 1) -> Sweep:
    """Every trial, those of earlier attempts included; raises `EnvironmentFault` where none was finished.

    `began` is when the command did (monotonic): the time budget, less what earlier attempts took, counts from there.
    `tests`: the folds that winners are fitted for afterwards.
    """
    records, now = shared.records.all()[: cfg.tune.trials], time.monotonic()  # a longer sweep may have left more
    before_s = max((one.at_s for one in records), default=0.0)
    began = now if began is None else began
    shared = replace(shared, began=time.time() - (now - began) - before_s)
    ends_at = None if cfg.tune.time_budget_s is None else began + cfg.tune.time_budget_s - before_s
    ends = Ends(cfg.tune, ends_at, records, now - began, tests / len(shared.folds))
    if records:
        say(f"  {len(records)} trials are there already")
    left = cfg.tune.trials - len(records)
    if left > 0 and not ends.stop_all():
        _tune(cfg, space, shared, ends, left)
    found = shared.records.all()[: cfg.tune.trials]
    if best(found) is None:
        reasons = {one.why for one in found if one.status == FAILED} or {ends.why or "nothing was tried"}
        raise EnvironmentFault(
            f"No trial of {len(found)} was finished: {'; '.join(sorted(reasons))[:600]}. Raise tune.time_budget_s, or"
            " narrow tune.space."
        )
    return Sweep(found, ends.why or f"all {cfg.tune.trials} trials were made")


def _tune(cfg: Config, space: Space, shared: trial.Shared, ends: Ends, trials: int) -> None:
    told = cfg.tune
    room.check(told)
    known = shared.records.all()
    work = tune.with_parameters(trial.run, shared=shared)
    if told.scheduler == "pbt":
        search, schedule = population.searcher(space, told, space.begin(cfg), trials), population.scheduler(space, told)
    else:
        search, schedule = searcher(space, told, space.begin(cfg), known), scheduler(told, space.families)
    with _quiet():
        tune.Tuner(
            tune.with_resources(work, room.resources(told)),
            param_space=dict.fromkeys(space.keys) if told.scheduler == "pbt" else None,
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=schedule,
                num_samples=trials,
                max_concurrent_trials=room.at_once(told),
                reuse_actors=reusable(cfg),
            ),
            run_config=tune.RunConfig(
                name=os.path.basename(shared.records.folder) + "-tune",  # noqa: PTH119 - a path of the store
                storage_path=shared.records.store.path("checkpoints"),
                storage_filesystem=shared.records.store.fs,
                stop=ends,
                failure_config=tune.FailureConfig(max_failures=2),  # of its process; its own fault is not tried again
                callbacks=[Told(shared, ends, len(known), told.trials)],
                verbose=0,
            ),
        ).fit()


def reusable(cfg: Config) -> bool:
    """Whether one process may fit trial after trial: PyTorch and TensorFlow in the same one end it, see `native.py`."""
    return not {"torch", "tensorflow"} <= {getattr(cfg.train, family).framework for family in cfg.tune.families}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Tune without its own tables and tracebacks: the sweep tells a line per trial."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    loggers = [logging.getLogger(name) for name in ("ray.tune", "ray.air", "ray.train")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # stdout: a frame around two names
            warnings.filterwarnings("ignore", "The reported value is ignored")  # a trial whose process died begins anew
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


class Told(Callback):
    """Tells one line per trial, and keeps those that the scheduler stopped; what runs when the sweep ends is lost."""

    def __init__(self, shared: trial.Shared, ends: Ends, before: int, trials: int) -> None:
        self.shared, self.ends, self.count, self.trials = shared, ends, before, trials
        self.best = best(shared.records.all())

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """A trial begins."""
        self.ends.begun(trial.trial_id, trial.config[FAMILY])

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """A trial whose process died waits for its next begin."""
        self.ends.over(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """A trial is over, one way or another."""
        self.ends.over(trial.trial_id)
        result = trial.last_result or {}
        name = str(result.get("trial", ""))
        record = self.shared.records.find(name) if result.get(FINISHED) else self._stopped(trial.config, result)
        self._say(record)

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        """A trial failed; it has left a record, unless the fault was the machine's."""
        self.ends.over(trial.trial_id)
        why = " ".join(str(trial.get_error() or "its process died").split())[-200:]
        self._say(self.shared.records.find(_name(self.shared, trial.config)), trial.config, why)

    def _stopped(self, values: dict[str, Any], result: dict[str, Any]) -> Record | None:
        if FIRST not in result:
            return None  # it had not begun
        scores = {FIRST: float(result[FIRST])}
        at_s = time.time() - self.shared.began
        record = Record(_name(self.shared, values), values, STOPPED, scores, seconds=result["time_total_s"], at_s=at_s)
        self.shared.records.write(record, {})
        return record

    def _say(self, record: Record | None, values: dict[str, Any] | None = None, why: str = "") -> None:
        if record is None:
            if values:
                say(f"  trial of {values[FAMILY]} is not over: {why}; the same command tries it again")
            return
        self.count += 1
        if record.status == FINISHED and (best([*([self.best] if self.best else []), record]) is record):
            self.best = record
        score = f"{record.scores[FIRST]:.4f}" if FIRST in record.scores else record.why[:120]
        top = f", best {self.best.scores[FIRST]:.4f} ({self.best.family})" if self.best else ""
        what = f"{record.family} {record.status}: {score} in {record.seconds:.1f} s{top}"
        say(f"  trial {self.count}/{self.trials} {what}; {record.at_s:.0f} s")


def _name(shared: trial.Shared, values: dict[str, Any]) -> str:
    return trial.key(shared, values)
