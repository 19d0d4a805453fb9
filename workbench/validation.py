"""What is wrong with a configuration beyond its types: every fault at once, each with key, value, rule and remedy."""

import datetime as dt
import math
import re
from collections.abc import Iterator
from typing import Any

from workbench.config import FAMILIES, Config
from workbench.data import declaration
from workbench.errors import ConfigError, raise_all

CHOICES = {
    "data.source.kind": ("benchmark", "file"),
    "data.source.format": (None, "csv", "parquet", "jsonl"),
    "data.split.kind": ("time", "stratified"),
    "evaluate.protocol": ("split", "prequential"),
    "serve.version": ("configured", "champion"),
    "tracker.mode": ("wandb", "offline", "disabled"),
}
POSITIVE = (
    "data.source.benchmark.customers", "data.source.benchmark.terminals", "data.source.benchmark.days",
    "data.split.train_days", "data.split.score_days", "features.partitions", "scaling.workers",
    "scaling.cpus_per_worker", "serve.replicas", "serve.max_ongoing_requests", "serve.max_body_bytes",
    "serve.compact_every_s", "monitor.minimum_judged", "serve.ahead_days", "evaluate.bootstrap_samples",
    "register.parity_rows",
    "train.xgboost.rounds", "train.xgboost.max_depth", "train.torch_mlp.epochs", "train.torch_mlp.batch_size",
    "train.keras_mlp.epochs", "train.keras_mlp.batch_size", "replay.days", "replay.connections", "replay.time_limit_s",
)  # fmt: skip
SHARES = ("data.bad_rows_limit", "register.flagged_share", "monitor.false_alarm_rate")


def validate(cfg: Config) -> Config:
    """The same config, or one `ConfigError` that lists every fault that types cannot show."""
    faults = [*_value_faults(cfg), *declaration.faults(cfg.data), *_split_faults(cfg)]
    raise_all(ConfigError, "The configuration is wrong:", faults)
    return cfg


def check_learning(cfg: Config) -> None:
    """Raise `ConfigError` where the data set does not fit the split; what needs both asks this first."""
    raise_all(ConfigError, "The data set and its split do not fit:", list(_learning_faults(cfg)))


def lookup(cfg: Any, dotted: str) -> Any:
    """The value at a dotted path such as `serve.port`."""
    for part in dotted.split("."):
        cfg = getattr(cfg, part)
    return cfg


def _value_faults(cfg: Config) -> Iterator[str]:
    for key, allowed in CHOICES.items():
        if (value := lookup(cfg, key)) not in allowed:
            yield f"{key}={value} is unknown. Use one of: {', '.join(str(a) for a in allowed)}."
    for key in POSITIVE:
        if not (value := lookup(cfg, key)) > 0:
            yield f"{key}={value} must be greater than 0."
    if sorted(set(cfg.train.families) & set(FAMILIES)) != sorted(cfg.train.families) or not cfg.train.families:
        yield f"train.families={cfg.train.families} must name some of {', '.join(FAMILIES)}, each once."
    for key in SHARES:
        if not 0 <= (value := lookup(cfg, key)) < 1:
            yield f"{key}={value} must be at least 0 and less than 1."
    if not cfg.train.seeds or len(set(cfg.train.seeds)) < len(cfg.train.seeds):
        yield f"train.seeds={cfg.train.seeds} must name at least one number, each once."
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", cfg.serve.application):
        yield f"serve.application={cfg.serve.application} is no name. Use lower case letters, digits, - and _."
    if not 0 <= cfg.data.label.delay_days < math.inf:
        yield f"data.label.delay_days={cfg.data.label.delay_days} must be a number of days from 0 on."
    if cfg.serve.replicas > 1:
        yield f"serve.replicas={cfg.serve.replicas}: the feature state lives in one process. Use serve.replicas=1."
    if not 0 < cfg.serve.port < 65536:
        yield f"serve.port={cfg.serve.port} is not a port. Use a number from 1 to 65535."


def _split_faults(cfg: Config) -> Iterator[str]:
    split = cfg.data.split
    dates = {"data.split.train_start": split.train_start, "data.split.select_start": split.select_start}
    dates["replay.start"] = cfg.replay.start
    for key, value in dates.items() if split.kind == "time" else ():
        if value is None:
            yield f"{key} is not set, and data.split.kind=time needs it. Use a date such as 2018-07-25."
        elif not _is_date(value):
            yield f"{key}={value} is not a date. Use the form 2018-07-25."
    for key in ("fold_starts", "select_starts") if cfg.evaluate.protocol == "prequential" else ():
        starts = getattr(cfg.evaluate, key)
        if not starts or not all(_is_date(start) for start in starts):
            yield f"evaluate.{key}={starts} must be dates of the form 2018-07-25, and at least one."
    if split.kind == "stratified" and not 0 < split.validation_share + split.test_share < 1:
        yield (
            f"data.split.validation_share={split.validation_share} and test_share={split.test_share} leave no training"
            " rows. Use shares whose sum is between 0 and 1."
        )


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _learning_faults(cfg: Config) -> Iterator[str]:
    split = cfg.data.split
    if split.exclude_known is not None and split.exclude_known not in cfg.data.entities:
        yield f"data.split.exclude_known={split.exclude_known} is none of data.entities={cfg.data.entities}. Use one."
    if split.kind == "time" and split.delay_days < cfg.data.label.delay_days:
        yield (
            f"data.split.delay_days={split.delay_days} is less than data.label.delay_days="
            f"{cfg.data.label.delay_days:g}: the labels that train would not be known yet. Use at least as many."
        )
