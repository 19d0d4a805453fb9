"""What is wrong with rows before any worker starts on them: every fault at once."""

import math
from collections.abc import Iterator, Mapping

from workbench.config import ScalingConfig, TrainConfig
from workbench.errors import InputError, raise_all
from workbench.families import FamilyConfig, SupervisedConfig
from workbench.progress import say
from workbench.training.fits import SCORED
from workbench.training.gather import Column, Gathered

EXACT = 2**24  # from here on float32 does not hold every whole number: 2**24 + 1 is read as 2**24


def check(rows: Mapping[str, Gathered], cfg: TrainConfig) -> None:
    """Raise one `InputError` for all that cannot be learnt from, and say which features tell nothing."""
    supervised = any(getattr(cfg, family).supervised for family in cfg.families)
    faults = [fault for name, one in rows.items() for fault in _faults(name, one, supervised)]
    faults += [fault for family in cfg.families for fault in _embedded(family, getattr(cfg, family), rows)]
    raise_all(InputError, "These rows cannot be trained on:", faults)
    constant = {name: _constant(one) for name, one in rows.items() if not name.endswith(SCORED)}
    for feature in dict.fromkeys(feature for features in constant.values() for feature in features):
        folds = [name for name, features in constant.items() if feature in features]
        say(f"  feature {feature} has one value in {', '.join(folds)}: it tells nothing there")


def check_shares(family: str, hyper: FamilyConfig, rows: Mapping[str, Gathered], scaling: ScalingConfig) -> None:
    """Raise `InputError` where a worker would have no row to train on, or where no negative is left of a fold's."""
    faults = [*_few(rows, scaling.workers), *_all_positive(family, hyper, rows)]
    raise_all(InputError, f"There are too few rows for {family}:", faults)


def _few(rows: Mapping[str, Gathered], workers: int) -> Iterator[str]:
    for name, one in rows.items():
        if one.rows < workers:
            yield (
                f"{name} holds {one.rows} rows to train on for scaling.workers={workers}. Use at most {one.rows}"
                " workers, or widen data.split."
            )


def _all_positive(family: str, hyper: FamilyConfig, rows: Mapping[str, Gathered]) -> Iterator[str]:
    """Positives are never left out: of one class are the rows of which the share took no negative."""
    if not isinstance(hyper, SupervisedConfig) or hyper.negative_share == 1:
        return
    for name in (name for name, one in rows.items() if one.classes < 2):
        yield (
            f"{name} keeps none of its negatives with train.{family}.negative_share={hyper.negative_share:g}, and"
            " training needs both classes. Use a greater share, or widen data.split."
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


def _embedded(family: str, hyper: FamilyConfig, rows: Mapping[str, Gathered]) -> Iterator[str]:
    """An embedding has a row for each value: values that single precision cannot tell apart would share one."""
    for feature in hyper.embedded:
        found = {name: size for name, one in rows.items() if (size := _size(one.columns.get(feature))) >= EXACT}
        if found:
            yield (
                f"{', '.join(found)}: feature {feature} of train.{family}.embeddings reaches"
                f" {max(found.values()):,.0f}, and beyond {EXACT - 1:,} a float32 makes one value of several. Declare"
                " its column as type string with its categories and use kind: ordinal."
            )


def _size(column: Column | None) -> float:
    """The largest distance from 0; 0 where there is no value."""
    return max(-column.least, column.greatest, 0.0) if column else 0.0


def _constant(one: Gathered) -> list[str]:
    """The features whose value never changes."""
    return [
        name for name, column in one.columns.items() if column.least == column.greatest and math.isfinite(column.least)
    ]
