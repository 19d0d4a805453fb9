"""The stratified split: the part of a row, by the rank of its id's hash in its class; the same for the same rows.

With `select_folds` there is no `valid`: the rows that do not test are dealt to so many folds, `train-0`, `train-1`, ...
"""

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import SplitConfig


def stratified(ids: NDArray[np.object_], labels: NDArray[np.int8], split: SplitConfig) -> pa.Array:
    """`test` and `train`, `valid` or a fold for each row, with the configured shares in each class (rounded down)."""
    order = np.array([hashlib.sha256(f"{split.seed}:{one}".encode()).digest()[:8] for one in ids.tolist()])
    parts = np.full(len(ids), "train", dtype=object)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(order[rows], kind="stable")]
        test, valid = int(len(rows) * split.test_share), int(len(rows) * split.validation_share)
        first = int(len(rows) * split.test_share * split.test_place)
        rows = np.roll(rows, -first)  # the test part is what comes first
        parts[rows[:test]] = "test"
        if split.select_folds > 1:
            parts[rows[test:]] = [fold_part(place % split.select_folds) for place in range(len(rows) - test)]
        else:
            parts[rows[test : test + valid]] = "valid"
    return pa.array(parts, pa.string())


def fold_part(number: int) -> str:
    """The part of the rows that a selecting fold is scored on."""
    return f"train-{number}"
