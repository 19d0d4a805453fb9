"""Unsupervised models in training: the rows that they learn from, and their score as one more input of a family."""

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.errors import InputError
from workbench.models.composition import NAME, Anomaly
from workbench.training.fits import Fit, Floats, Rows


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


def appended(x_NF: Floats, anomaly: Anomaly | None) -> Floats:
    """[N, F + 1] the features and, where there is one, the score of an unsupervised model: its graph's, as served."""
    if anomaly is None:
        return x_NF
    from workbench.models import graph  # ONNX Runtime, which most workers do without
    from workbench.models.scorer import Scorer

    features = x_NF.shape[1]
    scorer = Scorer(graph.merge({anomaly.family: anomaly.onnx}, [1.0], 0.0, features))
    return np.concatenate([x_NF, scorer.score(x_NF).logit_N[:, None]], axis=1)


def inputs(features: Sequence[str], anomalies: Mapping[str, Anomaly]) -> list[str]:
    """The names of a family's inputs in order."""
    return [*features, NAME] if anomalies else list(features)
