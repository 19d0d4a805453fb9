"""The function that conf/features/README.md shows."""

import numpy as np


def roundness(given):
    """How many zeros the amount ends in, three at the most."""
    amount = given["amount_minor"].to_numpy()
    return np.sum([amount % step == 0 for step in (10, 100, 1000)], axis=0, dtype=np.float64)
