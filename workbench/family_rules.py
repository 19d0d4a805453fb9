"""What is wrong with the choice of families, and with hyperparameters of rare labels, directions and anomalies."""

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from workbench.config import FAMILIES, TrainConfig
from workbench.unsupervised import ROWS

Rule = tuple[str, Callable[[Any], bool]]
POSITIVE: Rule = ("greater than 0 and finite", lambda value: 0 < value < math.inf)
NOT_NEGATIVE: Rule = ("at least 0 and finite", lambda value: 0 <= value < math.inf)
SHARE: Rule = ("greater than 0 and at most 1", lambda value: 0 < value <= 1)
LAYERS: Rule = ("the units of some layers, each at least 1", lambda value: all(one >= 1 for one in value))
EVERYWHERE: dict[str, Rule] = {  # of every family that has the key
    "positive_weight": POSITIVE,
    "negative_share": SHARE,
    "focal_gamma": NOT_NEGATIVE,
}
UNSUPERVISED: dict[str, dict[str, Rule]] = {
    "autoencoder": {
        **dict.fromkeys(("epochs", "code", "learning_rate", "batch_size"), POSITIVE),
        "weight_decay": NOT_NEGATIVE,
        "hidden": LAYERS,
    },
    "isolation_forest": {
        "trees": POSITIVE,
        "samples": ("at least 2 and finite", lambda value: 2 <= value < math.inf),
        "max_features": SHARE,
    },
}
CHOICES: dict[str, tuple[str | None, ...]] = {
    "loss": ("log", "focal"),
    "rows": ROWS,
    "anomaly_feature": (None, *UNSUPERVISED),
}


def choice_faults(train: TrainConfig) -> Iterator[str]:
    """What is wrong with which families are trained, and in which seeds."""
    if sorted(set(train.families) & set(FAMILIES)) != sorted(train.families) or not train.families:
        yield f"train.families={train.families} must name some of {', '.join(FAMILIES)}, each once."
    seeds = train.seeds
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
        yield f"train.seeds={seeds} must name at least one number from 0 to 2147483647, each once."


def faults(train: TrainConfig) -> Iterator[str]:
    """Every fault that needs no feature's name."""
    for family in FAMILIES:
        hyper, path = getattr(train, family), f"train.{family}"
        rules = EVERYWHERE | UNSUPERVISED.get(family, {})
        for key in (one.name for one in fields(hyper)):
            value = getattr(hyper, key)
            if key in rules and not rules[key][1](value):
                yield f"{path}.{key}={value} must be {rules[key][0]}."
            if key in CHOICES and value not in CHOICES[key]:
                yield f"{path}.{key}={value} is unknown. Use one of: {', '.join(map(_said, CHOICES[key]))}."
        if both := sorted({*getattr(hyper, "rising", ())} & {*getattr(hyper, "falling", ())}):
            yield f"{path}.rising and .falling both name {', '.join(both)}. A feature has one direction at most."


def direction_faults(train: TrainConfig, names: Sequence[str]) -> Iterator[str]:
    """Directions of features that are none."""
    for family in train.families:
        for key in ("rising", "falling"):
            for feature in getattr(getattr(train, family), key, ()):
                if feature not in names:
                    near = difflib.get_close_matches(feature, names, n=3) or names
                    yield f"train.{family}.{key}={feature} names no feature. Use one of: {', '.join(near)}."


def _said(choice: str | None) -> str:
    return "null" if choice is None else choice
