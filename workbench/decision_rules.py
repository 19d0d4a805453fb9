"""What must hold between the keys that make scores decisions: mixture, calibration and threshold."""

from collections.abc import Iterator

from workbench.config import Config
from workbench.decisions import GRID_MEMBERS


def faults(cfg: Config) -> Iterator[str]:
    """What is wrong with them for the families, folds and columns that there are."""
    yield from _mixture_faults(cfg)
    yield from _threshold_faults(cfg)


def _mixture_faults(cfg: Config) -> Iterator[str]:
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


def _folds(cfg: Config) -> int:
    """How many folds select."""
    if cfg.data.split.kind == "stratified":
        return cfg.data.split.folds if cfg.evaluate.protocol == "split" else 1
    return len(cfg.evaluate.select_starts) if cfg.evaluate.protocol == "prequential" else 1


def _threshold_faults(cfg: Config) -> Iterator[str]:
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
