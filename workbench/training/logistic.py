"""Logistic regression with slopes that are not negative: convex, so that there is one answer.

Shapes: N rows, M members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Array = NDArray[Any]
RIDGE = 1e-6  # slopes stay finite where the classes can be told apart without a fault


def non_negative(folds: Sequence[tuple[Array, Array]], least: float = 0.0) -> tuple[float, Array]:
    """Intercept and slopes [M], each at least `least`, with the smallest mean log loss; folds are heard alike.

    Each fold is (target [N] from 0 to 1, log-odds [N, M]). By L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995).
    """
    members = folds[0][1].shape[1]
    start = np.append(0.0, np.full(members, max(1 / members, least)))
    limits = [(None, None), *[(least, None)] * members]
    options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(_loss, start, args=(folds,), jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    return float(found[0]), found[1:]


def _loss(asked: Array, folds: Sequence[tuple[Array, Array]]) -> tuple[float, Array]:
    """The mean over the folds of the mean log loss, and its gradient."""
    value, gradient = RIDGE / 2 * float(asked[1:] @ asked[1:]), np.append(0.0, RIDGE * asked[1:])
    for target_N, logit_NM in folds:
        logit_N = asked[0] + logit_NM @ asked[1:]
        value += float(np.mean(np.logaddexp(0, logit_N) - target_N * logit_N)) / len(folds)
        error_N = (expit(logit_N) - target_N) / (len(target_N) * len(folds))
        gradient += np.append(error_N.sum(), error_N @ logit_NM)
    return value, gradient
