"""What is wrong with rows before any worker starts on them: every fault at once."""

import math
from collections.abc import Iterator, Mapping

from workbench.config import ScalingConfig, TrainConfig
from workbench.errors import InputError, raise_all
from workbench.progress import say
from workbench.training.fits import SCORED
from workbench.training.gather import Gathered


def check(rows: Mapping[str, Gathered], cfg: TrainConfig) -> None:
    """Raise one `InputError` for all that cannot be learnt from, and say which features tell nothing."""
    supervised = any(getattr(cfg, family).supervised for family in cfg.families)
    faults = [fault for name, one in rows.items() for fault in _faults(name, one, supervised)]
    raise_all(InputError, "These rows cannot be trained on:", faults)
    constant = {name: _constant(one) for name, one in rows.items() if not name.endswith(SCORED)}
    for feature in dict.fromkeys(feature for features in constant.values() for feature in features):
        folds = [name for name, features in constant.items() if feature in features]
        say(f"  feature {feature} has one value in {', '.join(folds)}: it tells nothing there")


def check_shares(family: str, rows: Mapping[str, Gathered], scaling: ScalingConfig) -> None:
    """Raise `InputError` where a worker would have no row to train on."""
    few = {name: one.rows for name, one in rows.items() if one.rows < scaling.workers}
    raise_all(
        InputError,
        f"There are fewer rows than workers for {family}:",
        [
            f"{name} holds {count} rows to train on for scaling.workers={scaling.workers}. Use at most {count} workers,"
            " or widen data.split."
            for name, count in few.items()
        ],
    )


def _faults(name: str, one: Gathered, supervised: bool) -> Iterator[str]:
    if one.classes < (2 if supervised or name.endswith(SCORED) else 1):
        yield (
            f"{name} holds {one.rows} labelled rows of {one.classes} class(es); training needs both."
            " Widen data.split or check the labels."
        )
    for feature, column in one.columns.items():
        if column.missing:
            many = "no value in any row" if column.missing == one.rows else f"no value in {column.missing} rows"
            yield f"{name}: feature {feature} has {many} of {one.rows}. Say `empty` in its definition, or leave it out."
        if column.infinite:
            yield (
                f"{name}: feature {feature} is infinite, or beyond a float32, in {column.infinite} rows of {one.rows}."
                " Correct its source, or bound the column in data.columns."
            )
    if one.rows and not name.endswith(SCORED) and len(_constant(one)) == len(one.columns) > 0:
        yield f"{name}: no feature has more than one value, so nothing can be learnt. Widen data.split or add features."


def _constant(one: Gathered) -> list[str]:
    """The features whose value never changes."""
    return [
        name for name, column in one.columns.items() if column.least == column.greatest and math.isfinite(column.least)
    ]
