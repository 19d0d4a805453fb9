"""Unsupervised models in training: the rows that they learn from, and their score as one more input of a family."""

from collections.abc import Mapping, Sequence

from workbench.errors import InputError
from workbench.models.composition import NAME, Anomaly
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


def inputs(features: Sequence[str], anomalies: Mapping[str, Anomaly]) -> list[str]:
    """The names of a family's inputs in order."""
    return [*features, NAME] if anomalies else list(features)
