"""From the members' log-odds on the selecting folds to one model: weights, and a calibration of what they mix.

No row calibrates a mixture that it helped to choose: either the last fold in time calibrates and chooses no weight, or
(`crossed`) each row is mixed with weights that were chosen on other folds; of a single fold, on its other fifths.
Shapes: N rows, M members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from workbench.config import TrainConfig
from workbench.evaluation import reliability
from workbench.models.calibration import Calibration
from workbench.training import calibrate, ensemble

PARTS = 5  # of a single fold
Array = NDArray[Any]
Fold = tuple[Array, Array]  # labels [N], members' log-odds [N, M]; or labels [N], mixed log-odds [N]


@dataclass(frozen=True)
class Mixture:
    """Weights [M], the calibration, and how honest each kind of it was on rows that did not fit it."""

    weights: list[float]
    calibration: Calibration | None
    assessed: dict[str, dict[str, float]]


def mixture(folds: dict[str, Fold], cfg: TrainConfig) -> Mixture:
    """What the selecting folds, named so that they sort by time, choose."""
    in_time = [folds[name] for name in sorted(folds)]
    if cfg.calibration.method == "none":
        return Mixture(ensemble.weights(in_time, cfg.ensemble), None, {})
    if cfg.calibration.rows == "last_fold":
        weights = ensemble.weights(in_time[:-1], cfg.ensemble)
        mixed = [(in_time[-1][0], in_time[-1][1] @ np.array(weights))]
    else:
        weights = ensemble.weights(in_time, cfg.ensemble)
        mixed = crossed(in_time, cfg)
    label_N, logit_N = (np.concatenate(one) for one in zip(*mixed, strict=True))
    return Mixture(weights, calibrate.METHODS[cfg.calibration.method](label_N, logit_N), assessed(mixed))


def crossed(folds: Sequence[Fold], cfg: TrainConfig) -> list[Fold]:
    """Labels and mixed log-odds of each fold, or fifth of the only one, with weights that the others chose."""
    parts = list(folds) if len(folds) > 1 else _parts(*folds[0])
    found = []
    for number, (label_N, logit_NM) in enumerate(parts):
        others = [one for place, one in enumerate(parts) if place != number]
        found.append((label_N, logit_NM @ np.array(ensemble.weights(others, cfg.ensemble))))
    return found


def assessed(mixed: Sequence[Fold]) -> dict[str, dict[str, float]]:
    """Brier score, log loss and calibration error of every method, each row judged by a fit on the other folds."""
    parts = list(mixed) if len(mixed) > 1 else _parts(*mixed[0])
    found: dict[str, dict[str, float]] = {}
    for method in ("none", *calibrate.METHODS):
        logits = []
        for number, (_, logit_N) in enumerate(parts):
            others = [one for place, one in enumerate(parts) if place != number]
            fitted = (
                None if method == "none" else calibrate.METHODS[method](*map(np.concatenate, zip(*others, strict=True)))
            )
            logits.append(logit_N if fitted is None else fitted.logit(logit_N))
        found[method] = reliability.figures(np.concatenate([one for one, _ in parts]), expit(np.concatenate(logits)))
    return found


def _parts(label_N: Array, logit: Array) -> list[Fold]:
    """Fifths of consecutive rows, each with its share of either class."""
    part_N = np.zeros(len(label_N), int)
    for rows in (np.flatnonzero(label_N == 1), np.flatnonzero(label_N != 1)):
        part_N[rows] = np.arange(len(rows)) * PARTS // max(len(rows), 1)
    return [(label_N[part_N == one], logit[part_N == one]) for one in range(PARTS)]
