"""Fit the last step from log-odds to a probability that can be taken at its word. Shapes: N rows, K steps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import logit

from workbench.models.calibration import Calibration
from workbench.training.logistic import non_negative

FLATTEST = 1e-3  # slope in log-odds: a flat line would make all rows equal
MOST_KNOTS = 256  # of a curve: more would be felt in the time of a single score
Array = NDArray[Any]


def platt(label_N: Array, logit_N: Array) -> Calibration:
    """A rising line in log-odds, with Platt's targets that keep off 0 and 1 (Platt, 1999)."""
    bad, good = float(np.sum(label_N == 1)), float(np.sum(label_N != 1))
    target_N = np.where(label_N == 1, (bad + 1) / (bad + 2), 1 / (good + 2))
    intercept, (slope,) = non_negative([(target_N, logit_N[:, None].astype(np.float64))], FLATTEST)
    return Calibration("platt", [0.0], [intercept], float(slope))


def isotonic(label_N: Array, logit_N: Array) -> Calibration:
    """The rising curve with the least squared error (Zadrozny and Elkan, 2002), straight between its steps' middles.

    A step has the mean log-odds of its rows and their share of positives, as in centred isotonic regression (Oron and
    Flournoy, 2017). A share of 0 or 1 is that of half a row, and beyond the outer steps Platt's slope goes on.
    """
    value_K, count_K, share_K = _steps(label_N, logit_N)
    share_K = _inside(share_K, count_K)
    knot_K, kept = np.unique(value_K.astype(np.float32), return_index=True)
    chosen = np.unique(np.linspace(0, len(knot_K) - 1, min(len(knot_K), MOST_KNOTS)).round().astype(int))
    knots, values = knot_K[chosen].tolist(), logit(share_K[kept][chosen]).tolist()
    return Calibration("isotonic", knots, values, platt(label_N, logit_N).slope)


def _steps(label_N: Array, logit_N: Array) -> tuple[Array, Array, Array]:
    """[K] the mean log-odds of each step, its rows and its share of positives; equal log-odds are one point."""
    point, place_N = np.unique(logit_N.astype(np.float64), return_inverse=True)
    rows = np.bincount(place_N).astype(np.float64)
    fitted = isotonic_regression(np.bincount(place_N, label_N) / rows, weights=rows)
    starts = fitted.blocks[:-1].astype(int)
    count_K = np.add.reduceat(rows, starts)
    return np.add.reduceat(point * rows, starts) / count_K, count_K, fitted.x[starts]


def _inside(share_K: Array, count_K: Array) -> Array:
    """The shares off 0 and 1, still rising: only the first can be 0 and only the last 1."""
    inside_K = share_K.astype(np.float64).copy()
    if len(inside_K) == 1:
        return np.clip(inside_K, 0.5 / (count_K + 1), 1 - 0.5 / (count_K + 1))
    if inside_K[0] <= 0:
        inside_K[0] = min(0.5 / (count_K[0] + 1), inside_K[1] / 2)
    if inside_K[-1] >= 1:
        inside_K[-1] = max(1 - 0.5 / (count_K[-1] + 1), (1 + inside_K[-2]) / 2)
    return inside_K


METHODS = {"platt": platt, "isotonic": isotonic}
