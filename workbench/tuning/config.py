"""What a sweep may be told: the `tune` section of the configuration."""

from dataclasses import dataclass, field
from typing import Any

FIRST = "average_precision"
DIRECTIONS = {FIRST: "max", "roc_auc": "max", "model_bytes": "min", "latency_us": "min"}  # objectives


@dataclass
class TuneConfig:
    """How hyperparameters are searched: which values, by which searcher, for how long."""

    families: list[str] = field(default_factory=list)  # candidates, the most promising first; a trial trains one
    space: dict[str, Any] = field(default_factory=dict)  # dotted key: {low, high, log, step} or values; and when
    searcher: str = "tpe"  # random | tpe (Optuna's tree-structured Parzen estimator)
    scheduler: str = "none"  # none | asha | median: bad trials end early; pbt: they go on from better ones
    objectives: list[str] = field(default_factory=lambda: [FIRST])  # it, then any of roc_auc, model_bytes, latency_us
    trials: int = 32  # upper bound on trials
    time_budget_s: float | None = None  # seconds of the whole command, whatever it does at the end; null: no bound
    seed: int = 0  # of what is drawn
    concurrent: int | None = None  # trials at once; null: as many as there is room for
    cpus_per_trial: float = 1.0  # logical CPUs of a trial, or of each of its workers; each whole one is a thread
    gpus_per_trial: float = 0.0  # GPUs of a trial, or of each of its workers
    workers_per_trial: int = 1  # 1: a trial fits in its own process; more: through a trainer of so many workers
    patience: int | None = 100  # boosted: rounds without a gain after which a fit ends; null: it goes on to its last
    grace_percent: int = 10  # asha, median: no trial ends before this percentage of its own rounds or epochs
    reduction: int = 3  # asha: one of so many trials goes on at each rung
    perturb_percent: int = 20  # pbt: after each such part of its rounds or epochs a bad trial takes over a good one
    plateau_trials: int | None = None  # in a row without a gain (a stack: of their family) that end the sweep
    plateau_gain: float = 0.0005  # what counts as a gain of the first objective
    rows_per_family: int = 200_000  # tune.challenge: of more rows, families that one process fits are left out
    challenge: bool = False  # stack the best of each family, judge the stack once, register it as challenger
