"""Card precision@k of drawn customers: `metrics.card_precision` where a customer may count several times or not at all.

Shapes: U customers, S draws, C customers of a day.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.metrics import CAPACITY, DAY_US
from workbench.evaluation.scored import Scored

Array = NDArray[Any]


class Capacity:
    """The customers of each day in falling order of a model's score, and who of them was defrauded that day."""

    def __init__(self, one: Scored, score_N: Array, unit_N: Array) -> None:
        day_N = one.time_us_N // DAY_US
        self.days = [self._day(one.label_N, score_N, unit_N, np.flatnonzero(day_N == day)) for day in np.unique(day_N)]

    @staticmethod
    def _day(label_N: Array, score_N: Array, unit_N: Array, rows: Array) -> tuple[Array, Array]:
        unit_C, place = np.unique(unit_N[rows], return_inverse=True)
        highest_C, bad_C = np.full(len(unit_C), -np.inf), np.zeros(len(unit_C), bool)
        np.maximum.at(highest_C, place, score_N[rows])
        np.logical_or.at(bad_C, place, label_N[rows] == 1)
        order = np.argsort(-highest_C, kind="stable")
        return unit_C[order], bad_C[order]

    def precision(self, count_US: Array, k: int = CAPACITY) -> Array:
        """[S] the mean over the days; who was caught leaves the later ones."""
        left_US = count_US.copy()
        return np.mean([self._caught(left_US, unit_C, bad_C, k) / k for unit_C, bad_C in self.days], axis=0)

    def _caught(self, left_US: Array, unit_C: Array, bad_C: Array, k: int) -> Array:
        """[S] how many are caught on a day; they are taken from `left_US`."""
        width = min(4 * k, len(unit_C))
        while width < len(unit_C) and left_US[unit_C[:width]].sum(axis=0).min() < k:
            width = min(2 * width, len(unit_C))
        unit_C, bad_C = unit_C[:width], bad_C[:width]
        count_CS = left_US[unit_C]
        before_CS = np.cumsum(count_CS, axis=0) - count_CS
        caught_CS = np.clip(k - before_CS, 0, count_CS)[bad_C]
        left_US[unit_C[bad_C]] -= caught_CS
        return caught_CS.sum(axis=0)
