"""Unsupervised models in training: the rows that they learn from, and their score as one more input of a family."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.errors import InputError
from workbench.models.composition import NAME, Anomaly, appended
from workbench.training.fits import Fit, Rows


def learnt_from(shard: Rows, rows: str, fit: Fit) -> Rows:
    """All rows of a shard, or the good ones alone; raises `InputError` where there are none."""
    if rows == "all":
        return shard
    good_N = shard.y_N == 0
    if not good_N.any():
        raise InputError(
            f"{fit.name} has a worker without a row that is known as good. Use rows=all, or fewer workers."
        )
    return Rows(shard.x_NF[good_N], shard.y_N[good_N])


def seen(table: pa.Table, names: Sequence[str], anomaly: Anomaly | None) -> NDArray[np.float32]:
    """[N, len(names)] the inputs of these names, float32: columns, and what the anomaly's model says of all of them.

    The label is the last column of the table.
    """
    if anomaly is None:
        return _columns(table, names)
    features = table.column_names[:-1]
    inputs_NF = appended(_columns(table, features), anomaly)
    return inputs_NF[:, [[*features, NAME].index(name) for name in names]]


def _columns(table: pa.Table, names: Sequence[str]) -> NDArray[np.float32]:
    columns = [table[name].to_numpy().astype(np.float32) for name in names]
    return np.ascontiguousarray(np.stack(columns, axis=1))
