"""How far probabilities can be taken at their word. Shapes: N rows, G groups.

Shares of fraud are small: groups of equal width would hold nearly all rows in the first, so groups hold equal numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUPS = 20
LEAST = 2.0**-24  # probability; between 1 and its neighbour in single precision
TOP = 30  # rows of the smallest group of a picture
Z = 1.959964  # two-sided 95 %
Array = NDArray[Any]


def figures(label_N: Array, probability_N: Array) -> dict[str, float]:
    """Brier score, log loss and expected calibration error; what single precision rounds to 0 is kept off it."""
    own_N = np.where(label_N == 1, probability_N, 1 - np.asarray(probability_N, np.float64))
    return {
        "brier": float(np.mean(np.square(1 - own_N))),
        "log_loss": float(-np.mean(np.log(np.maximum(own_N, LEAST)))),
        "calibration_error": calibration_error(label_N, probability_N),
    }


def calibration_error(label_N: Array, probability_N: Array) -> float:
    """The mean over the rows of |predicted - observed| of their group (Nixon et al., 2019: groups of equal size)."""
    parts = np.array_split(np.argsort(probability_N, kind="stable"), GROUPS)
    gaps = [abs(float(probability_N[one].mean() - label_N[one].mean())) * len(one) for one in parts if len(one)]
    return float(np.sum(gaps) / len(label_N))


def curve(label_N: Array, probability_N: Array, groups: int = GROUPS) -> dict[str, list[float]]:
    """For a picture: predicted and observed share of groups that get smaller towards the top, with 95 % of each share.

    Half of the rows are in the first group; the intervals are Wilson's (1927).
    """
    order = np.argsort(probability_N, kind="stable")
    ends = len(order) - np.unique(np.geomspace(min(TOP, len(order)), max(len(order) / 2, 1), groups).astype(int))[::-1]
    parts = [one for one in np.split(order, ends) if len(one)]
    rows = np.array([len(one) for one in parts], np.float64)
    observed = np.array([label_N[one].mean() for one in parts])
    middle, half = (observed + Z**2 / (2 * rows)), Z * np.sqrt(observed * (1 - observed) / rows + (Z / (2 * rows)) ** 2)
    low, high = (middle - half) / (1 + Z**2 / rows), (middle + half) / (1 + Z**2 / rows)
    return {
        "predicted": [float(probability_N[one].mean()) for one in parts],
        "observed": observed.tolist(),
        "low": np.minimum(low, observed).tolist(),  # rounding puts the end of a share of 0 or 1 on its wrong side
        "high": np.maximum(high, observed).tolist(),
        "rows": rows.tolist(),
    }
