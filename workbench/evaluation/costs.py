"""What errors cost, at every threshold and for every ratio of costs.

Cost curves after Drummond and Holte, Cost curves: an improved method for visualizing classifier performance, Machine
Learning 65 (2006). In money: a missed positive costs its amount, a false alarm a fixed sum; all are whole minor units.

Shapes: N rows, T thresholds, C cost shares.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID_C = np.linspace(0, 1, 101)
SHOWN = 120  # points of a curve of money
Array = NDArray[Any]


def rates(label_N: Array, score_N: Array) -> tuple[Array, Array]:
    """Shares of positives missed [T] and of others flagged [T], at every threshold that can pay, none flagged first."""
    order = np.argsort(-score_N, kind="stable")
    last = np.append(np.diff(score_N[order]) != 0, True)
    bad_N = label_N[order] == 1
    found_T, wrong_T = np.cumsum(bad_N)[last], np.cumsum(~bad_N)[last]
    return 1 - np.append(0, found_T) / max(bad_N.sum(), 1), np.append(0, wrong_T) / max((~bad_N).sum(), 1)


def normalised(label_N: Array, score_N: Array) -> list[float]:
    """[C] the least normalised expected cost of any threshold, at each share of the cost that positives stand for.

    That share is p(+)C(-|+) / (p(+)C(-|+) + p(-)C(+|-)). Never above min(share, 1 - share): flag none, or all.
    """
    missed_T, wrong_T = rates(label_N, score_N)
    paying = _lower_hull(missed_T, wrong_T)
    return (np.outer(GRID_C, missed_T[paying]) + np.outer(1 - GRID_C, wrong_T[paying])).min(axis=1).tolist()


def money(label_N: Array, score_N: Array, amount_N: Array, alarm_minor: int) -> dict[str, Any]:
    """Cost in minor units against the share of rows that are flagged, highest scores first: `share`, `cost`, `least`.

    `least` is the cheapest share on these very rows: what a threshold chosen beforehand can at best come near to.
    """
    order = np.argsort(-score_N, kind="stable")
    last = np.append(np.diff(score_N[order]) != 0, True)
    bad_N, lost_N = label_N[order] == 1, amount_N[order].astype(np.int64)
    saved_T = np.append(0, np.cumsum(np.where(bad_N, lost_N, 0))[last])
    alarms_T = np.append(0, np.cumsum(~bad_N)[last])
    cost_T = saved_T[-1] - saved_T + alarm_minor * alarms_T
    share_T = np.append(0, np.flatnonzero(last) + 1) / len(order)
    best = int(np.argmin(cost_T))
    some = np.unique(np.append(_along(share_T), best))
    return {
        "share": share_T[some].tolist(),
        "cost": cost_T[some].tolist(),
        "least": {"share": float(share_T[best]), "cost": int(cost_T[best])},
    }


def spent(label_N: Array, flagged_N: Array, amount_N: Array, alarm_minor: int) -> int:
    """Minor units that one decision for each row costs: the amounts of missed positives, and the false alarms."""
    missed = amount_N[(label_N == 1) & ~flagged_N].astype(np.int64).sum()
    return int(missed) + alarm_minor * int(((label_N != 1) & flagged_N).sum())


def of(
    label_N: Array, scores: dict[str, Array], flagged: dict[str, Array], amount_N: Array | None, alarms: Sequence[int]
) -> dict[str, Any]:
    """All of it for every model; `money` is None where rows have no amount in minor units."""
    return {
        "normalised": {model: normalised(label_N, score_N) for model, score_N in scores.items()},
        "money": None if amount_N is None else [_at(label_N, scores, flagged, amount_N, alarm) for alarm in alarms],
    }


def _at(
    label_N: Array, scores: dict[str, Array], flagged: dict[str, Array], amount_N: Array, alarm: int
) -> dict[str, Any]:
    none, every = np.zeros(len(label_N), bool), np.ones(len(label_N), bool)
    return {
        "false_positive_minor": alarm,
        "flag_none": spent(label_N, none, amount_N, alarm),
        "flag_all": spent(label_N, every, amount_N, alarm),
        "models": {
            model: money(label_N, score_N, amount_N, alarm)
            | {"at_threshold": spent(label_N, flagged[model], amount_N, alarm) if model in flagged else None}
            for model, score_N in scores.items()
        },
    }


def _lower_hull(missed_T: Array, wrong_T: Array) -> Array:
    """Places of the thresholds that are best for some share of the costs: the convex hull of the ROC curve."""
    hull: list[int] = []
    for i in np.flatnonzero(np.append(True, np.diff(missed_T) < 0) | (np.arange(len(missed_T)) == len(missed_T) - 1)):
        while len(hull) > 1 and _turns(missed_T, wrong_T, hull[-2], hull[-1], int(i)):
            hull.pop()
        hull.append(int(i))
    return np.array(hull)


def _turns(missed_T: Array, wrong_T: Array, a: int, b: int, c: int) -> bool:
    """Whether b lies on or above the line from a to c."""
    return bool(
        (wrong_T[b] - wrong_T[a]) * (missed_T[c] - missed_T[a])
        <= (wrong_T[c] - wrong_T[a]) * (missed_T[b] - missed_T[a])
    )


def _along(share_T: Array) -> Array:
    """Places that lie evenly along the logarithm of the share: what matters happens at its small end."""
    wanted = np.concatenate([[0.0], np.geomspace(max(share_T[1], 1e-6), 1.0, SHOWN)])
    return np.clip(np.searchsorted(share_T, wanted), 0, len(share_T) - 1)
