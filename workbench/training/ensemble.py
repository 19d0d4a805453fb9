"""The weights of an ensemble that is linear in log-odds, chosen on validation rows."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.training.fits import average_precision

STEPS = 10  # weights are tenths: finer ones only fit the noise of the validation rows


def weights(folds: Sequence[tuple[NDArray, NDArray]]) -> list[float]:
    """Non-negative weights with sum 1 that give the highest mean average precision over the folds.

    Each fold is (labels [N], members' log-odds [N, M]). A member that does not pay gets 0; of equal mixtures the one
    nearest to equal weights is taken.
    """
    members = folds[0][1].shape[1]
    candidates = [np.array(one) / STEPS for one in _compositions(STEPS, members)]
    scores = [np.mean([average_precision(y_N, z_NM @ one) for y_N, z_NM in folds]) for one in candidates]
    best = max(range(len(candidates)), key=lambda i: (round(float(scores[i]), 6), -np.square(candidates[i]).sum()))
    return [float(one) for one in candidates[best]]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
