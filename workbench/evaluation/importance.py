"""How much a model's ranking rests on each of its inputs: permutation importance (Breiman, Random Forests, 2001).

Shapes: N rows, F features.
"""

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.metrics import average_precision
from workbench.models.scorer import Scorer

SCORED = 60_000  # rows that are scored for all features together: seconds, where all rows of a test part take minutes
SEED = 0


def permuted(scorer: Scorer, x_NF: NDArray[np.float64], label_N: NDArray[np.int64]) -> list[float]:
    """[F] how much average precision falls when a feature's values are dealt out anew among the rows.

    On a sample with as many positives as there are, up to half of it. Two features that say the same each look
    dispensable: read the figures beside the definitions.
    """
    random = np.random.default_rng(SEED)
    rows = _sample(label_N, SCORED // x_NF.shape[1], random)
    x_NF, label_N = x_NF[rows], label_N[rows]
    whole = average_precision(label_N, scorer.score(x_NF).logit_N)
    falls = []
    for column in range(x_NF.shape[1]):
        dealt_NF = x_NF.copy()
        dealt_NF[:, column] = random.permutation(x_NF[:, column])
        changed = bool((dealt_NF != x_NF).any())
        falls.append(whole - average_precision(label_N, scorer.score(dealt_NF).logit_N) if changed else 0.0)
    return falls


def _sample(label_N: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    positive = random.permutation(np.flatnonzero(label_N == 1))[: size // 2]
    negative = random.permutation(np.flatnonzero(label_N != 1))[: size - len(positive)]
    return np.sort(np.concatenate([positive, negative]))
