"""What is wrong with a configuration beyond its types: every fault at once, each with key, value, rule and remedy."""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench import family_rules, network_rules, running, scaling
from workbench.config import FAMILIES, Config, ServeConfig
from workbench.data import declaration
from workbench.decisions import GRID_MEMBERS
from workbench.errors import ConfigError, raise_all
from workbench.evaluation import published, rules
from workbench.features import definitions
from workbench.features.definitions import FeatureSet
from workbench.governance import access_rules
from workbench.release import sagemaker_config
from workbench.release.settings import ACTIONS
from workbench.tuning import rules as tuning

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
REDIS = re.compile(r"rediss?://([\w.-]+@)?[\w.-]+(:\d{1,5})?(/\d*)?(\?.*)?|unix://.+")
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
            "train.ensemble.noise", "register.score_tolerance", "serve.cpus_per_replica", "serve.running.retry_after_s",
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


def validate(cfg: Config) -> Config:
    """The same config, or one `ConfigError` that lists every fault that types cannot show."""
    faults = [*value_faults(cfg), *declaration.faults(cfg.data), *_split_faults(cfg), *rules.faults(cfg)]
    faults += sagemaker_config.faults(cfg)
    raise_all(ConfigError, "The configuration is wrong:", faults)
    return cfg


def check_learning(cfg: Config) -> None:
    """Raise `ConfigError` where data set, features and split do not fit; what needs them all asks this first."""
    raise_all(ConfigError, "The data set, its features and its split do not fit:", list(_learning_faults(cfg)))


def lookup(cfg: Any, dotted: str) -> Any:
    """The value at a dotted path such as `serve.port`."""
    for part in dotted.split("."):
        cfg = cfg[part] if isinstance(cfg, dict) else getattr(cfg, part)
    return cfg


def value_faults(cfg: Config) -> Iterator[str]:
    """What is wrong with single values."""
    for key, allowed in CHOICES.items():
        if (value := lookup(cfg, key)) not in allowed:
            yield f"{key}={value} is unknown. Use one of: {', '.join(str(a) for a in allowed)}."
    yield from (f"{key} is empty. Give it a value, or leave it out." for key in TEXTS if not lookup(cfg, key).strip())
    yield from _limit_faults(cfg)
    if sorted(set(cfg.train.families) & set(FAMILIES)) != sorted(cfg.train.families) or not cfg.train.families:
        yield f"train.families={cfg.train.families} must name some of {', '.join(FAMILIES)}, each once."
    seeds = cfg.train.seeds
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
        yield f"train.seeds={seeds} must name at least one number from 0 to 2147483647, each once."
    yield from network_rules.faults(cfg.train)
    if (name := cfg.evaluate.published) not in (None, *published.tables()):
        yield f"evaluate.published={name} is no published table. Use null or one of: {', '.join(published.tables())}."
    yield from _decision_faults(cfg)
    yield from _storage_faults(cfg)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", cfg.serve.application):
        yield f"serve.application={cfg.serve.application} is no name. Use lower case letters, digits, - and _."
    yield from family_rules.faults(cfg.train)
    yield from _serve_faults(cfg.serve)
    yield from access_rules.faults(cfg.serve.access, cfg.keys)
    yield from scaling.faults(
        cfg.scaling, {name: getattr(cfg.train, name) for name in cfg.train.families if name in FAMILIES}
    )
    yield from tuning.objective_faults(cfg.tune)


def _decision_faults(cfg: Config) -> Iterator[str]:
    members = len(cfg.train.families)
    if cfg.train.ensemble.method == "grid" and members > GRID_MEMBERS:
        yield (
            f"train.ensemble.method=grid tries every mixture, too many of {members} families. Use greedy or stacked, or"
            f" at most {GRID_MEMBERS} families."
        )
    if cfg.train.calibration.method != "none" and cfg.train.calibration.rows == "last_fold" and _folds(cfg) < 2:
        yield (
            "train.calibration.rows=last_fold needs a second fold to choose the weights, and one selects. Use"
            " rows=crossed, more evaluate.select_starts (prequential) or data.split.folds (stratified)."
        )
    threshold, column = cfg.register.threshold, cfg.data.columns.get(cfg.register.threshold.amount or "")
    for key in {"cost": ("cost_false_positive_minor", "amount")}.get(threshold.rule, (threshold.rule,)):
        if getattr(threshold, key, 0) is None:
            yield f"register.threshold.rule={threshold.rule} needs register.threshold.{key}. Set it or change the rule."
    if threshold.amount is not None and (column is None or column.type != "money"):
        money = [name for name, one in cfg.data.columns.items() if one.type == "money"]
        yield (
            f"register.threshold.amount={threshold.amount} is no money column of the data set. Use"
            f" {'one of ' + ', '.join(money) if money else 'null: it has none'}."
        )


def _storage_faults(cfg: Config) -> Iterator[str]:
    """Secrets lie outside the store, which others may read, copy and back up."""
    scheme, _, rest = cfg.storage.root.rpartition("://")
    if scheme not in ("", "file"):
        yield from _bucket_faults(rest)
        return
    root, keys = (Path(one).expanduser().resolve() for one in (rest, cfg.keys.folder))
    if keys.is_relative_to(root):
        yield (
            f"keys.folder={cfg.keys.folder} lies in storage.root={cfg.storage.root}, and keys must not lie in the"
            " store. Use a folder outside it."
        )


def _bucket_faults(path: str) -> Iterator[str]:
    """What belongs into the environment: what is written here is shown, and what follows a ? would end every path."""
    if "@" in path.partition("/")[0]:
        yield "storage.root holds a key, and configs are shown. Leave it to AWS_ACCESS_KEY_ID and its like."
    elif "?" in path:
        yield "storage.root has settings after a ?. Leave them to AWS_ENDPOINT_URL and AWS_REGION."


def _folds(cfg: Config) -> int:
    """How many folds select."""
    if cfg.data.split.kind == "stratified":
        return cfg.data.split.folds if cfg.evaluate.protocol == "split" else 1
    return len(cfg.evaluate.select_starts) if cfg.evaluate.protocol == "prequential" else 1


def _serve_faults(serve: ServeConfig) -> Iterator[str]:
    yield from running.faults(serve.running, serve.replicas, serve.state)
    if serve.replicas > 1 and serve.state == "memory":
        yield (
            f"serve.replicas={serve.replicas}: with serve.state=memory the feature state lives in one process. Use"
            " serve.replicas=1, or serve.state=redis, which replicas share."
        )
    url = urlsplit(serve.redis_url)
    if url.password is not None or "password" in url.query:
        yield "serve.redis_url holds a password, and configs are shown. Put it into WORKBENCH_REDIS_PASSWORD."
    elif not REDIS.fullmatch(serve.redis_url):
        yield f"serve.redis_url={serve.redis_url} is no Redis. Use redis://HOST:PORT/DB, rediss:// (TLS) or unix://PATH."


def _limit_faults(cfg: Config) -> Iterator[str]:
    for words, holds, keys in LIMITS:
        for key in keys:
            if (value := lookup(cfg, key)) is not None and not holds(value):
                yield f"{key}={value} must be {words}."


def _split_faults(cfg: Config) -> Iterator[str]:
    split = cfg.data.split
    dates = {"data.split.train_start": split.train_start, "data.split.select_start": split.select_start}
    dates["replay.start"] = cfg.replay.start
    if not _is_date(start := cfg.data.source.benchmark.start):
        yield f"data.source.benchmark.start={start} is not a date. Use the form 2018-07-25."
    for key, value in dates.items() if split.kind == "time" else ():
        if value is None:
            yield f"{key} is not set, and data.split.kind=time needs it. Use a date such as 2018-07-25."
        elif not _is_date(value):
            yield f"{key}={value} is not a date. Use the form 2018-07-25."
    for key in ("fold_starts", "select_starts") if cfg.evaluate.protocol == "prequential" else ():
        starts = getattr(cfg.evaluate, key)
        if not starts or len(set(starts)) < len(starts) or not all(_is_date(start) for start in starts):
            yield f"evaluate.{key}={starts} must be dates of the form 2018-07-25, at least one and each once."
    yield from _order_faults(cfg)
    shares = (split.validation_share, split.test_share)
    if split.kind == "stratified" and not (min(shares) > 0 and sum(shares) < 1):
        yield (
            f"data.split.validation_share={split.validation_share} and test_share={split.test_share} leave no rows to"
            " select, test or train on. Use two shares greater than 0 whose sum is less than 1."
        )
    if split.kind == "stratified" and not (split.test_place + 1) * split.test_share <= 1 + 1e-9:
        yield (
            f"data.split.test_place={split.test_place} lies beyond the last share of data.split.test_share="
            f"{split.test_share}. Use a number from 0 to {max(0, round(1 / max(split.test_share, 1e-9)) - 1)}."
        )


def _order_faults(cfg: Config) -> Iterator[str]:
    """What judges comes after all that selects: else the choice would have seen the answers."""
    split, several = cfg.data.split, cfg.evaluate.protocol == "prequential"
    selecting = cfg.evaluate.select_starts if several else [split.select_start or ""]
    judging = cfg.evaluate.fold_starts if several else [split.train_start or ""]
    if split.kind != "time" or not all(map(_is_date, [*selecting, *judging])) or not (selecting and judging):
        return
    latest, first = max(selecting), min(judging)
    between = dt.date.fromisoformat(first) - dt.date.fromisoformat(latest)
    if between.days < split.score_days:
        last, judge = ("evaluate.select_starts", "evaluate.fold_starts") if several else (
            "data.split.select_start", "data.split.train_start",
        )  # fmt: skip
        yield (
            f"{last} {latest} and {judge} {first}: the rows that select would be scored in days that judge, or"
            f" later. Let every selecting block start at least {split.score_days} days before the first judging one."
        )


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _learning_faults(cfg: Config) -> Iterator[str]:
    yield from rules.unknown_columns(cfg)
    yield from (wrong := list(definitions.faults(cfg.features, cfg.data)))
    if not wrong:
        names = FeatureSet.of(cfg.features, cfg.data).names
        yield from network_rules.learning_faults(cfg.train, names)
        yield from family_rules.direction_faults(cfg.train, names)
    split = cfg.data.split
    if split.exclude_known is not None and split.exclude_known not in cfg.data.entities:
        yield f"data.split.exclude_known={split.exclude_known} is none of data.entities={cfg.data.entities}. Use one."
    if split.kind == "time" and split.delay_days < cfg.data.label.delay_days:
        yield (
            f"data.split.delay_days={split.delay_days} is less than data.label.delay_days="
            f"{cfg.data.label.delay_days:g}: the labels that train would not be known yet. Use at least as many."
        )
