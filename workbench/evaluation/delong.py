"""The areas under several ROC curves of the same rows, their covariance, and a test of the difference of two.

DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated receiver operating characteristic
curves, Biometrics 44 (1988); computed from midranks in O(N log N) after Sun and Xu, Fast implementation of DeLong's
algorithm, IEEE Signal Processing Letters 21 (2014). Rows count as independent: where a customer has many of them, an
interval from resampled customers (`resample.py`) is the honester one.

Shapes: N rows, M models, P positive rows, G others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Array = NDArray[Any]


@dataclass(frozen=True)
class Difference:
    """How much larger the second area is, and how likely as large a difference would be between equal models."""

    difference: float
    variance: float | None  # None where a class has fewer than two rows
    p_value: float | None  # two-sided


def areas(label_N: Array, scores_MN: Array) -> tuple[Array, Array]:
    """Areas [M] and their covariance [M, M] (NaN where a class has fewer than two rows); ties count half."""
    scores_MN = np.asarray(scores_MN, np.float64)
    bad_MP, good_MG = scores_MN[:, label_N == 1], scores_MN[:, label_N != 1]
    bad, good = bad_MP.shape[1], good_MG.shape[1]
    own_MP, own_MG = rankdata(bad_MP, axis=1), rankdata(good_MG, axis=1)
    among_MN = rankdata(np.concatenate([bad_MP, good_MG], axis=1), axis=1)
    below_MP = (among_MN[:, :bad] - own_MP) / good  # for each positive row, the share of the others below it
    above_MG = 1 - (among_MN[:, bad:] - own_MG) / bad  # for each other row, the share of the positive ones above it
    if min(bad, good) < 2:
        return below_MP.mean(axis=1), np.full((len(scores_MN),) * 2, np.nan)
    return below_MP.mean(axis=1), np.atleast_2d(np.cov(below_MP)) / bad + np.atleast_2d(np.cov(above_MG)) / good


def compared(folds: Sequence[tuple[Array, Array, Array]]) -> Difference:
    """The mean over folds of (labels, scores of one model, scores of another) of the second's area less the first's."""
    found = [areas(label_N, np.stack([first_N, second_N])) for label_N, first_N, second_N in folds]
    difference = float(np.mean([area_M[1] - area_M[0] for area_M, _ in found]))
    variances = [c_MM[0, 0] + c_MM[1, 1] - 2 * c_MM[0, 1] for _, c_MM in found]
    variance = float(np.sum(variances)) / len(found) ** 2
    if math.isnan(variance):
        return Difference(difference, None, None)
    return Difference(difference, max(variance, 0.0), _p_value(difference, variance))


def _p_value(difference: float, variance: float) -> float:
    if variance <= 1e-18:  # the same order of rows, but for rounding
        return 1.0 if abs(difference) < 1e-9 else 0.0
    return float(2 * norm.sf(abs(difference) / math.sqrt(variance)))
