"""What each value may be, by itself: one of some choices, not empty, or a number in its range."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from workbench import network_rules
from workbench.config import Config
from workbench.release import sagemaker_config
from workbench.release.settings import ACTIONS

CHOICES = {
    "data.source.kind": ("benchmark", "file"),
    "data.source.format": (None, "csv", "parquet", "jsonl"),
    "data.split.kind": ("time", "stratified"),
    "evaluate.protocol": ("split", "prequential", "kfold"),
    "evaluate.resample": ("customers", "rows"),
    "evaluate.slices.hours": (1, 2, 3, 4, 6, 8, 12, 24),
    "train.ensemble.method": ("greedy", "stacked", "grid"),
    "train.calibration.method": ("none", "platt", "isotonic"),
    "train.calibration.rows": ("crossed", "last_fold"),
    "register.threshold.rule": ("flagged_share", "cost", "capacity", "false_positive_rate"),
    "tune.searcher": ("random", "tpe"),
    "tune.scheduler": ("none", "asha", "median", "pbt"),
    "serve.state": ("memory", "redis"),
    "serve.version": ("configured", "champion"),
    "release.action": (None, *ACTIONS),
    "target": sagemaker_config.TARGETS,
    "sagemaker.action": sagemaker_config.ACTIONS,
    "tracker.mode": ("wandb", "offline", "disabled"),
}
TEXTS = (  # never empty: an empty folder is the one at hand, an empty host is every address
    "name", "data.name", "serve.host", "serve.journal", "tracker.project", "tracker.folder", "storage.root",
    "keys.folder",
)  # fmt: skip
NETWORKS = tuple(f"train.{family}" for family in network_rules.NETWORKS)
SEQUENCES = tuple(f"train.{family}" for family in network_rules.SEQUENCES)
Limit = tuple[str, Callable[[float], bool], tuple[str, ...]]
LIMITS: tuple[Limit, ...] = (  # the rule in words, the rule, and whose it is
    (
        "greater than 0 and finite", lambda value: 0 < value < math.inf,
        (
            "data.source.benchmark.customers", "data.source.benchmark.terminals", "data.source.benchmark.days",
            "data.source.benchmark.radius", "data.split.train_days", "data.split.score_days",
            "train.xgboost.rounds", "train.xgboost.max_depth", "train.lightgbm.rounds",
            "train.lightgbm.min_data_in_leaf",
            "train.random_forest.trees", "train.random_forest.min_samples_leaf",
            "train.random_forest.max_depth", "train.logistic_regression.strength",
            *(f"{one}.{key}" for one in NETWORKS for key in ("epochs", "batch_size", "learning_rate")),
            *(f"{one}.{key}" for one in SEQUENCES for key in ("width", "layers")),
            *(f"train.{family}.accumulate" for family in network_rules.TORCH), "train.torch_mlp.embedding_units",
            "train.ensemble.draws", "register.threshold.capacity", "register.threshold.cost_false_positive_minor",
            "evaluate.bootstrap_samples", "evaluate.train_share", "evaluate.slices.minimum", "evaluate.slices.samples",
            "register.parity_rows",
            "tune.trials", "tune.time_budget_s", "tune.concurrent", "tune.cpus_per_trial", "tune.workers_per_trial",
            "tune.patience", "tune.plateau_trials", "tune.rows_per_family",
            "serve.replicas", "serve.max_ongoing_requests", "serve.max_queued_requests", "serve.max_body_bytes",
            "serve.compact_every_s", "serve.ahead_days", "serve.guardrails.score_ms", "serve.running.max_wait_s",
            "serve.guardrails.latency_factor", "serve.guardrails.pairs_per_step", "serve.guardrails.shadow_queue",
            "serve.running.slow_at_once",
            *(f"serve.running.{key}" for key in ("drain_s", "max_batch_body_bytes", "journal_limit_bytes")),
            *(f"serve.running.autoscaling.{key}" for key in ("replicas", "target_requests")),
            "replay.days", "replay.connections", "replay.time_limit_s", "sagemaker.instances", "sagemaker.timeout_s",
            "monitor.minimum_judged", "monitor.latency_p99_ms", "scaling.workers", "scaling.cpus_per_worker",
        ),
    ),
    (
        "at least 0 and finite", lambda value: 0 <= value < math.inf,
        (
            "data.label.delay_days", "data.split.delay_days", "data.split.history_days",
            "train.xgboost.min_child_weight",
            "train.xgboost.reg_lambda", "train.lightgbm.lambda_l2",
            *(f"{one}.{key}" for one in NETWORKS for key in ("bins", "weight_decay")),
            "train.ensemble.noise", "train.ensemble.equal", "register.score_tolerance",
            "serve.cpus_per_replica", "serve.running.retry_after_s",
            "serve.running.autoscaling.up_after_s", "serve.running.autoscaling.down_after_s",
            "serve.guardrails.latency_slack_ms", "serve.guardrails.faults", "monitor.drift_floor",
            "scaling.gpus_per_worker", "scaling.max_failures", "evaluate.fold",
            "tune.seed", "tune.gpus_per_trial", "tune.plateau_gain", "data.split.test_place",
        ),
    ),
    (
        "at least 0 and less than 1", lambda value: 0 <= value < 1,
        (
            "data.bad_rows_limit", *(f"{one}.dropout" for one in NETWORKS), "register.flagged_share",
            "register.threshold.false_positive_rate", "monitor.false_alarm_rate", "monitor.performance_drop",
        ),
    ),
    (
        "greater than 0 and at most 1", lambda value: 0 < value <= 1,
        (
            "train.xgboost.learning_rate", "train.xgboost.subsample", "train.xgboost.colsample_bytree",
            "train.lightgbm.learning_rate", "train.lightgbm.bagging_fraction", "train.lightgbm.feature_fraction",
            "train.random_forest.max_features",
        ),
    ),
    (
        "greater than 0 and less than 1", lambda value: 0 < value < 1,
        tuple(f"serve.guardrails.{key}" for key in ("alpha", "disagreement", "shift", "shifted_share", "slow_share")),
    ),
    (
        "at least 0 and at most 1", lambda value: 0 <= value <= 1,
        ("register.minimum_average_precision", "sagemaker.weight"),
    ),
    ("0 or at least 2", lambda value: value == 0 or 2 <= value < math.inf, tuple(f"{one}.leaves" for one in NETWORKS)),
    (
        "at least 2", lambda value: 2 <= value < math.inf,
        (
            "tune.reduction", "train.xgboost.max_bin", "train.lightgbm.max_bin", "train.lightgbm.num_leaves",
            "train.keras_wide_deep.cells",
        ),
    ),
    (
        "at least 1", lambda value: 1 <= value < math.inf,
        ("scaling.ray_cpus", "scaling.min_workers", "data.split.folds"),
    ),
    ("from 1 to 99", lambda value: 1 <= value <= 99, ("tune.grace_percent", "tune.perturb_percent")),
    ("at least 3", lambda value: 3 <= value < math.inf, ("evaluate.folds",)),
    ("from 1 to 65535", lambda value: 1 <= value <= 65_535, ("serve.port",)),
)  # fmt: skip


def faults(cfg: Config) -> Iterator[str]:
    """What is wrong with values that no other value need be known for."""
    for key, allowed in CHOICES.items():
        if (value := lookup(cfg, key)) not in allowed:
            yield f"{key}={value} is unknown. Use one of: {', '.join(str(a) for a in allowed)}."
    yield from (f"{key} is empty. Give it a value, or leave it out." for key in TEXTS if not lookup(cfg, key).strip())
    for words, holds, keys in LIMITS:
        for key in keys:
            if (value := lookup(cfg, key)) is not None and not holds(value):
                yield f"{key}={value} must be {words}."


def lookup(cfg: Any, dotted: str) -> Any:
    """The value at a dotted path such as `serve.port`."""
    for part in dotted.split("."):
        cfg = cfg[part] if isinstance(cfg, dict) else getattr(cfg, part)
    return cfg
