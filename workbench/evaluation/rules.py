"""What is wrong with how a config says that models are judged: each fault with key, value, rule and remedy."""

from collections.abc import Iterator, Mapping, Sequence

from workbench.config import Config, EvaluateConfig
from workbench.evaluation import published

AMOUNTS = ("money", "integer", "number")  # types of a column that can be cut into bands


def faults(cfg: Config) -> Iterator[str]:
    """Faults that the config alone shows."""
    judged, stratified = cfg.evaluate, cfg.data.split.kind == "stratified"
    if judged.protocol == "kfold":
        yield from _fold_faults(cfg)
    if judged.protocol == "prequential" and stratified:
        yield "evaluate.protocol=prequential needs data.split.kind=time. Use evaluate.protocol=kfold or split."
    if stratified and judged.train_share > 1:
        yield (
            f"evaluate.train_share={judged.train_share:g} asks for more than all rows of data.split.kind=stratified."
            " Use at most 1."
        )
    yield from _ascending("evaluate.slices.amount_bands", judged.slices.amount_bands)
    yield from _ascending("evaluate.slices.age_days", judged.slices.age_days)
    yield from _ascending("evaluate.learning_curve.shares", judged.learning_curve.shares)
    yield from _ascending("evaluate.learning_curve.ahead", judged.learning_curve.ahead)
    if (alarms := judged.costs.false_positive_minor) and min(alarms) < 0:
        yield f"evaluate.costs.false_positive_minor={alarms} must be at least 0 each."


def table_faults(judged: EvaluateConfig) -> Iterator[str]:
    """A published table that is none."""
    if (name := judged.published) not in (None, *published.tables()):
        yield f"evaluate.published={name} is no published table. Use null or one of: {', '.join(published.tables())}."


def unknown_columns(cfg: Config) -> Iterator[str]:
    """Faults that the data set shows."""
    if (amount := cfg.evaluate.slices.amount) is not None:
        yield from _amount_faults(amount, {name: one.type for name, one in cfg.data.columns.items()})
    if (group := cfg.data.split.group) is not None and group not in cfg.data.entities:
        yield f"data.split.group={group} is none of data.entities={cfg.data.entities}. Use one."


def _amount_faults(amount: str, types: Mapping[str, str]) -> Iterator[str]:
    numbers = ", ".join(name for name, one in types.items() if one in AMOUNTS) or "null"
    if amount not in types:
        yield f"evaluate.slices.amount={amount} is no column of data.columns. Use one of: {numbers}."
    elif types[amount] not in AMOUNTS:
        yield (
            f"evaluate.slices.amount={amount} is of type {types[amount]}; an amount is of type {', '.join(AMOUNTS)}."
            f" Use one of: {numbers}."
        )


def _fold_faults(cfg: Config) -> Iterator[str]:
    judged = cfg.evaluate
    if cfg.data.split.kind != "stratified":
        yield (
            "evaluate.protocol=kfold would train on the future of data.split.kind=time. Use"
            " evaluate.protocol=prequential, or data.split.kind=stratified where time says nothing."
        )
    if cfg.data.split.folds > 1:
        yield (
            f"data.split.folds={cfg.data.split.folds} deals the rows that evaluate.protocol=kfold deals by"
            " evaluate.folds. Use data.split.folds=1."
        )
    if judged.fold is not None and judged.fold >= judged.folds:
        yield f"evaluate.fold={judged.fold} must be from 0 to {judged.folds - 1} (evaluate.folds={judged.folds})."


def _ascending(key: str, values: Sequence[float]) -> Iterator[str]:
    if any(low >= high for low, high in zip([0.0, *values], values, strict=False)):
        yield f"{key}={list(values)} must be greater than 0 and ascend."
