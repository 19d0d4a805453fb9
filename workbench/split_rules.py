"""What must hold between the days, shares and folds by which rows train, select and judge."""

import datetime as dt
from collections.abc import Iterator

from workbench.config import Config, SplitConfig


def faults(cfg: Config) -> Iterator[str]:
    """What the config alone shows."""
    yield from _date_faults(cfg)
    yield from _order_faults(cfg)
    if cfg.data.split.kind == "stratified":
        yield from _share_faults(cfg.data.split)


def learning_faults(cfg: Config) -> Iterator[str]:
    """What the data set shows."""
    split = cfg.data.split
    if split.exclude_known is not None and split.exclude_known not in cfg.data.entities:
        yield f"data.split.exclude_known={split.exclude_known} is none of data.entities={cfg.data.entities}. Use one."
    if split.kind == "time" and split.delay_days < cfg.data.label.delay_days:
        yield (
            f"data.split.delay_days={split.delay_days} is less than data.label.delay_days="
            f"{cfg.data.label.delay_days:g}: the labels that train would not be known yet. Use at least as many."
        )


def _date_faults(cfg: Config) -> Iterator[str]:
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


def _share_faults(split: SplitConfig) -> Iterator[str]:
    shares = (split.validation_share, split.test_share)
    if not (min(shares) > 0 and sum(shares) < 1):
        yield (
            f"data.split.validation_share={split.validation_share} and test_share={split.test_share} leave no rows to"
            " select, test or train on. Use two shares greater than 0 whose sum is less than 1."
        )
    if not (split.test_place + 1) * split.test_share <= 1 + 1e-9:
        yield (
            f"data.split.test_place={split.test_place} lies beyond the last share of data.split.test_share="
            f"{split.test_share}. Use a number from 0 to {max(0, round(1 / max(split.test_share, 1e-9)) - 1)}."
        )


def _is_date(text: str) -> bool:
    """Whether it is a day in the one form whose order as text is that of time: `20180725` is refused."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
