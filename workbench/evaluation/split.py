"""The stratified split: the part of a row, by the rank of its id's hash in its class; the same for the same rows.

With `group`, whole groups are dealt instead of rows (those that hold a positive row apart from the others), so that no
customer lies on both sides; parts then have about the configured shares.
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import SplitConfig

Array = NDArray[Any]


def hashes(values: Array, seed: int) -> Array:
    """Eight bytes for each value, by which it is dealt."""
    return np.array([hashlib.sha256(f"{seed}:{one}".encode()).digest()[:8] for one in values.tolist()])


def draws(values: Array, seed: int) -> Array:
    """A number from 0 to below 1 for each value, apart from where it stands: the rows below a share are that share."""
    found = (hashlib.sha256(f"{seed}:share:{one}".encode()).digest()[:6] for one in values.tolist())
    return np.array([int.from_bytes(one) / 2**48 for one in found])


def stratified(ids: Array, labels: Array, split: SplitConfig, groups: Array | None = None) -> pa.Array:
    """`train`, `valid` or `test` for each row, with the configured shares in each class (rounded down).

    With several folds each row that does not test is of one of them, `fold-0` and so on, instead of `train` or `valid`.
    """
    if groups is not None:
        return _by_place(places(ids, labels, split, groups), split)
    order = hashes(ids, split.seed)
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


def places(ids: Array, labels: Array, split: SplitConfig, groups: Array | None = None) -> Array:
    """For each row where it stands in its class, from 0 to below 1: k folds are the k equal stretches of that.

    Rows of one group stand at one place, that of the group's first row: by as much as the groups differ in size, so
    may the folds.
    """
    names, group_N = (np.arange(len(ids)), np.arange(len(ids))) if groups is None else _codes(groups)
    order = hashes(ids if groups is None else names, split.seed)
    size, bad = np.bincount(group_N, minlength=len(names)), np.zeros(len(names), bool)
    np.logical_or.at(bad, group_N, labels == 1)
    place = np.zeros(len(names))
    for side in (bad, ~bad):
        some = np.flatnonzero(side)
        some = some[np.argsort(order[some], kind="stable")]
        place[some] = (np.cumsum(size[some]) - size[some]) / max(size[some].sum(), 1)
    return place[group_N]


def _codes(groups: Array) -> tuple[Array, Array]:
    """The groups and the number of each row's group."""
    names, group_N = np.unique(groups, return_inverse=True)
    return names, group_N


def _by_place(place_N: Array, split: SplitConfig) -> pa.Array:
    place_N = np.round((place_N - split.test_share * split.test_place) % 1, 12) % 1  # the test part comes first
    test_N, valid_N = place_N < split.test_share, place_N < split.test_share + split.validation_share
    if split.folds > 1:
        fold_N = np.floor((place_N - split.test_share) / (1 - split.test_share) * split.folds).clip(0, split.folds - 1)
        names = np.array([fold_name(fold) for fold in range(split.folds)], dtype=object)
        return pa.array(np.where(test_N, "test", names[fold_N.astype(int)]), pa.string())
    return pa.array(np.where(test_N, "test", np.where(valid_N, "valid", "train")), pa.string())
