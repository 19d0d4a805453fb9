"""How good scores are: ranking, precision under a daily capacity, and how certain that is.

Card precision@k is the benchmark's own: each day the k customers with the highest score are looked at; the share of
them that was defrauded that day counts, and who was caught leaves the later days. Its ceiling is about .45 here, not
1, because no day has more than about 50 defrauded customers left.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

CAPACITY = 100  # customers that can be looked at in a day
DAY_US = 86_400_000_000
Array = NDArray[Any]


def figures(label_N: Array, score_N: Array, time_us_N: Array, card_N: Array | None) -> dict[str, float | None]:
    """ROC AUC, average precision and card precision@100 (None where the data knows no customer)."""
    return {
        "roc_auc": roc_auc(label_N, score_N),
        "average_precision": average_precision(label_N, score_N),
        "card_precision_at_100": None if card_N is None else card_precision(label_N, score_N, time_us_N, card_N),
    }


def roc_auc(label_N: Array, score_N: Array) -> float:
    """Area under the ROC curve."""
    return float(roc_auc_score(label_N, score_N))


def average_precision(label_N: Array, score_N: Array) -> float:
    """Area under the precision-recall steps."""
    return float(average_precision_score(label_N, score_N))


def card_precision(label_N: Array, score_N: Array, time_us_N: Array, card_N: Array, k: int = CAPACITY) -> float:
    """The mean over the days of the share of defrauded customers among the k with the highest scores."""
    day_N = time_us_N // DAY_US
    caught: set[Any] = set()
    precision = []
    for day in np.unique(day_N):
        rows = np.flatnonzero(day_N == day)
        rows = rows[~np.isin(card_N[rows], np.array(list(caught), card_N.dtype))]
        cards, place = np.unique(card_N[rows], return_inverse=True)
        highest, defrauded = np.full(len(cards), -np.inf), np.zeros(len(cards), bool)
        np.maximum.at(highest, place, score_N[rows])
        np.logical_or.at(defrauded, place, label_N[rows] == 1)
        top = np.argsort(-highest, kind="stable")[:k]
        found = cards[top[defrauded[top]]]
        precision.append(len(found) / k)
        caught |= set(found.tolist())
    return float(np.mean(precision))


def interval(
    metric: Callable[[Array, Array], float], label_N: Array, score_N: Array, samples: int, seed: int = 0
) -> tuple[float, float]:
    """The central 95 % of the metric over resampled rows (bootstrap, seeded)."""
    random = np.random.default_rng(seed)
    values = []
    for _ in range(samples):
        rows = random.integers(0, len(label_N), len(label_N))
        if 0 < label_N[rows].sum() < len(rows):
            values.append(metric(label_N[rows], score_N[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
