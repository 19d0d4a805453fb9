"""How a figure grows with the training rows: value = limit - b * rows^-c, and how sure that is.

Learning curves fall as a power of the rows (Cortes et al., Learning curves: asymptotic values and rate of convergence,
NeurIPS 1993; Viering and Loog, The shape of learning curves: a review, IEEE TPAMI 2023). For a given c the law is a
straight line, so c is looked for on a grid and the rest is least squares, with b >= 0 and limit <= 1.

Shapes: P points, S draws, G powers of the grid.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINIMUM = 4  # points that a law of three numbers can be held to
POWERS_G = np.geomspace(0.05, 2.0, 60)
Array = NDArray[Any]


@dataclass(frozen=True)
class Law:
    """Fitted laws; each field has one number, or one for each draw."""

    limit: Array
    factor: Array
    power: Array

    def at(self, rows: Array | float) -> Array:
        """The value with so many training rows: [S] for one number of rows, [S, P] for several."""
        limit, factor, power = (np.asarray(one)[..., None] for one in (self.limit, self.factor, self.power))
        found = limit - factor * np.asarray(rows, np.float64) ** -power
        return found if np.ndim(rows) else found[..., 0]


def fitted(rows_P: Array, value_SP: Array) -> Law:
    """The law of least squares through each draw's points."""
    value_SP = np.atleast_2d(value_SP)
    best = (np.full(len(value_SP), np.inf), *(np.zeros(len(value_SP)) for _ in range(3)))
    for power in POWERS_G:
        limit_S, factor_S = _line(rows_P.astype(np.float64) ** -power, value_SP)
        error_S = np.square(limit_S[:, None] - np.outer(factor_S, rows_P.astype(np.float64) ** -power) - value_SP).sum(
            1
        )
        better = error_S < best[0] * (1 - 1e-9)
        best = tuple(
            np.where(better, new, old) for new, old in zip((error_S, limit_S, factor_S, power), best, strict=True)
        )  # type: ignore[assignment]
    return Law(*best[1:])


def drawn(rows_P: Array, value_P: Array, value_SP: Array, seed: int = 0) -> Law:
    """Laws through the points of every draw of the scored rows, with the scatter of the points about the law added.

    The draws alone would leave out the chance of the training itself: the residuals of the one fit stand for it,
    widened by the three numbers that were fitted, and dealt out anew for each draw.
    """
    residual_P = value_P - fitted(rows_P, value_P).at(rows_P)[0]
    wider = np.sqrt(len(rows_P) / max(len(rows_P) - 3, 1))
    dealt_SP = np.random.default_rng(seed).choice(residual_P * wider, value_SP.shape)
    return fitted(rows_P, value_SP + dealt_SP)


def _line(x_P: Array, value_SP: Array) -> tuple[Array, Array]:
    """Limit [S] and factor [S] of value = limit - factor * x, with factor >= 0 and limit <= 1."""
    middle, spread_P = x_P.mean(), x_P - x_P.mean()
    mean_S = value_SP.mean(axis=1)
    factor_S = np.maximum(0.0, -(value_SP @ spread_P) / np.square(spread_P).sum())
    limit_S = mean_S + factor_S * middle
    capped_S = np.maximum(0.0, (1.0 - value_SP) @ x_P / np.square(x_P).sum())
    return np.minimum(limit_S, 1.0), np.where(limit_S > 1.0, capped_S, factor_S)
