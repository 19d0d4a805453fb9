"""Average precision of many mixtures of the same rows, and how uncertain a difference of two is.

Shapes: P positive rows, N negative rows, M members.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Ranked:
    """The rows of a fold with the two classes apart: sorted negatives are all that average precision asks of them."""

    positive_PM: Array
    negative_NM: Array

    @classmethod
    def of(cls, label_R: Array, logit_RM: Array) -> "Ranked":
        """The rows of a fold, R in all."""
        bad_R = label_R == 1
        # a column lies in one piece: sums of members are then twice as fast
        return cls(np.asfortranarray(logit_RM[bad_R]), np.asfortranarray(logit_RM[~bad_R]))

    def mixed(self, weight_M: Array) -> tuple[Array, Array]:
        """The mixture's log-odds of the positives and of the negatives."""
        return self.positive_PM @ weight_M, self.negative_NM @ weight_M


def precision(positive_P: Array, negative_N: Array) -> float:
    """Average precision as in `fits.average_precision`: one sort that keeps no places, a third of the time."""
    if not len(positive_P):
        return 0.0
    hits_P, flagged_P = _counts(np.sort(positive_P), np.sort(negative_N))
    return float(np.mean(hits_P / flagged_P))


def mean_precision(folds: list[Ranked], weight_M: Array) -> float:
    """The mean average precision of a mixture over the folds."""
    return float(np.mean([precision(*fold.mixed(weight_M)) for fold in folds]))


def difference(folds: list[Ranked], first_M: Array, second_M: Array) -> tuple[float, float]:
    """By how much a mixture's mean average precision exceeds another's, and the standard error of that.

    By the jackknife over rows (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 11): both mixtures
    lose the same row, so what they have in common is no noise. Rows of a customer are taken as independent.
    """
    gaps, variances = [], []
    for fold in folds:
        left_out_R = without_each(*fold.mixed(first_M)) - without_each(*fold.mixed(second_M))
        gaps.append(precision(*fold.mixed(first_M)) - precision(*fold.mixed(second_M)))
        variances.append((len(left_out_R) - 1) * float(np.var(left_out_R)))
    return float(np.mean(gaps)), float(np.sqrt(np.sum(variances)) / len(folds))


def without_each(positive_P: Array, negative_N: Array) -> Array:
    """[P + N] average precision of all rows but one: of each positive in turn, then of each negative."""
    if len(positive_P) < 2:
        return np.zeros(len(positive_P) + len(negative_N))
    rising_P = np.sort(positive_P)
    hits_P, flagged_P = _counts(rising_P, np.sort(negative_N))
    same_P = hits_P / flagged_P  # of the positives above the row that is left out
    hit_less_P = (hits_P - 1) / np.maximum(flagged_P - 1, 1)  # of those below a positive that is left out
    flag_less_P = hits_P / np.maximum(flagged_P - 1, 1)  # of those below a negative that is left out
    above = np.append(np.cumsum(same_P[::-1])[::-1], 0)
    place_P = np.searchsorted(rising_P, positive_P, "right")
    own_P = hit_less_P[place_P - 1]  # the row itself is not among those that remain
    without_P = (above[place_P] + np.append(0, np.cumsum(hit_less_P))[place_P] - own_P) / (len(positive_P) - 1)
    place_N = np.searchsorted(rising_P, negative_N, "right")
    without_N = (above[place_N] + np.append(0, np.cumsum(flag_less_P))[place_N]) / len(positive_P)
    return np.concatenate([without_P, without_N])


def _counts(rising_P: Array, rising_N: Array) -> tuple[Array, Array]:
    """For each positive, in rising order: the positives, and the rows, that score at least as high."""
    hits_P = len(rising_P) - np.searchsorted(rising_P, rising_P, "left")
    return hits_P, hits_P + len(rising_N) - np.searchsorted(rising_N, rising_P, "left")
