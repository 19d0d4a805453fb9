"""The stratified split: the part of a row, by the rank of its id's hash in its class; the same for the same rows."""

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import SplitConfig


def stratified(ids: NDArray[np.object_], labels: NDArray[np.int8], split: SplitConfig) -> pa.Array:
    """`train`, `valid` or `test` for each row, with the configured shares in each class (rounded down).

    With several folds each row that does not test is of one of them, `fold-0` and so on, instead of `train` or `valid`.
    """
    order = np.array([hashlib.sha256(f"{split.seed}:{one}".encode()).digest()[:8] for one in ids.tolist()])
    parts = np.full(len(ids), "train", dtype=object)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(order[rows], kind="stable")]
        rows = np.roll(rows, -int(len(rows) * split.test_share * split.test_place))  # the test part comes first
        test, valid = int(len(rows) * split.test_share), int(len(rows) * split.validation_share)
        parts[rows[:test]] = "test"
        parts[rows[test : test + valid]] = "valid"
        if split.folds > 1:
            names = np.array([fold_name(fold) for fold in range(split.folds)], dtype=object)
            parts[rows[test:]] = names[np.arange(len(rows) - test) % split.folds]
    return pa.array(parts, pa.string())


def fold_name(fold: int) -> str:
    """The part of a fold's rows."""
    return f"fold-{fold}"
