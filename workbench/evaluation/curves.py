"""The points of the curves that show a model: ROC, precision and recall, calibration. Shapes: N rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

POINTS = 160  # of a curve; more cannot be seen in a panel
GROUPS = (*np.linspace(0.5, 0.95, 6), 0.99, 0.995, 1.0)  # quantiles of the score at which calibration's groups end
Array = NDArray[Any]
Points = list[tuple[float, float]]


def roc(label_N: Array, score_N: Array) -> Points:
    """Share of good rows flagged, share of bad rows flagged."""
    wrong, found, _ = roc_curve(label_N, score_N)
    return thinned(wrong, found)


def precision_recall(label_N: Array, score_N: Array) -> Points:
    """Recall, precision; without the point of no row at all."""
    precision, recall, _ = precision_recall_curve(label_N, score_N)
    return thinned(recall[:-1][::-1], precision[:-1][::-1])


def calibration(label_N: Array, logit_N: Array) -> Points:
    """Predicted and observed share among the upper half of the scores, in ever smaller groups to its top."""
    probability_N = 1 / (1 + np.exp(-logit_N.astype(float)))
    group_N = np.searchsorted(np.quantile(probability_N, GROUPS), probability_N)
    means = [(probability_N[group_N == g].mean(), label_N[group_N == g].mean()) for g in np.unique(group_N)[1:]]
    return [(float(p), float(y)) for p, y in means if p > 0 and y > 0]


def thinned(x: Array, y: Array) -> Points:
    """Points that lie evenly along the curve, not along its rows: most rows are where nothing happens."""
    length = np.cumsum(np.hypot(np.diff(x, prepend=x[0]), np.diff(y, prepend=y[0])))
    chosen = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
    return [(round(float(a), 5), round(float(b), 5)) for a, b in zip(x[chosen], y[chosen], strict=True)]
