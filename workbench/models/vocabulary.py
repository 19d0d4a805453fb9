"""Which values of a category a network tells apart: each has a row of numbers that is learned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_ROWS = 5  # a value that fewer training rows have is as good as unseen: its numbers would be noise


@dataclass(frozen=True)
class Vocabulary:
    """The values of one column that have a row of their own, in order. Row 0 is everyone else's."""

    values: NDArray[np.float32]

    @classmethod
    def of(cls, x_N: NDArray[np.float32]) -> "Vocabulary":
        """The values that enough of these training rows have."""
        values, rows = np.unique(x_N, return_counts=True)
        return cls(values[rows >= LEAST_ROWS].astype(np.float32))

    def rows(self, x_N: NDArray[np.float32]) -> NDArray[np.int64]:
        """[N] the row of each value: 0 where it is unseen or rare."""
        if len(self.values) == 0:
            return np.zeros(len(x_N), np.int64)
        place = np.minimum(np.searchsorted(self.values, x_N), len(self.values) - 1)
        return np.where(self.values[place] == x_N, place + 1, 0)
