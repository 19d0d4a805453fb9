"""From which score on a row is flagged, by one of four rules, and what that did on the rows that it was chosen on.

Shapes: N rows, C cuts between neighbouring scores (and beyond the ends).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.config import RegisterConfig

DAY_US = 86_400_000_000
Array = NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """The rows that choose: `amount_N`, in minor units, where the rule weighs money."""

    label_N: Array
    score_N: Array
    time_us_N: Array
    amount_N: Array | None
    share: float  # of all rows of its days: 1 where whole days are here


@dataclass(frozen=True)
class Decision:
    """The threshold and what it does; per day, as if all rows of a day were here."""

    rule: str
    threshold: float
    flags_per_day: float
    precision: float | None  # None where nothing is flagged
    recall: float
    false_positive_rate: float
    cost_minor_per_day: float | None  # of good rows flagged and bad ones not; None where costs are not known


def decide(rows: Judged, cfg: RegisterConfig) -> Decision:
    """The threshold of the configured rule; of equally good ones the highest, which flags least."""
    cuts = _Cuts.of(rows, cfg.threshold.cost_false_positive_minor)
    chosen = _chosen(cuts, rows, cfg)
    flagged, bad = cuts.flagged_C[chosen], cuts.bad_C[chosen]
    return Decision(
        rule=cfg.threshold.rule,
        threshold=float(cuts.threshold_C[chosen]),
        flags_per_day=float(flagged / _days(rows)),
        precision=float(bad / flagged) if flagged else None,
        recall=float(bad / max(cuts.bad_C[-1], 1)),
        false_positive_rate=float((flagged - bad) / max(cuts.flagged_C[-1] - cuts.bad_C[-1], 1)),
        cost_minor_per_day=None if cuts.cost_C is None else float(cuts.cost_C[chosen] / _days(rows)),
    )


def _chosen(cuts: "_Cuts", rows: Judged, cfg: RegisterConfig) -> int:
    asked, good_C = cfg.threshold, cuts.flagged_C - cuts.bad_C
    if asked.rule == "cost":
        assert cuts.cost_C is not None, "validation asks for costs and amounts"
        return int(np.argmin(cuts.cost_C))
    if asked.rule == "capacity":
        allowed_C = cuts.flagged_C <= float(asked.capacity or 0) * _days(rows)
    elif asked.rule == "false_positive_rate":
        allowed_C = good_C <= float(asked.false_positive_rate or 0) * good_C[-1]
    else:
        allowed_C = cuts.flagged_C <= cfg.flagged_share * len(rows.score_N)
    return int(np.flatnonzero(allowed_C)[-1])


def _days(rows: Judged) -> float:
    """The whole days that these rows stand for."""
    return max(len(np.unique(rows.time_us_N // DAY_US)), 1) * rows.share


@dataclass(frozen=True)
class _Cuts:
    """Every cut from the one that flags nothing to the one that flags all; rows of one score are cut together."""

    threshold_C: Array
    flagged_C: Array
    bad_C: Array
    cost_C: Array | None

    @classmethod
    def of(cls, rows: Judged, cost_false_positive: int | None) -> "_Cuts":
        order = np.argsort(-rows.score_N, kind="stable")
        score_N, bad_N = rows.score_N[order].astype(np.float64), rows.label_N[order] == 1
        last = np.flatnonzero(np.append(np.diff(score_N) != 0, True))
        flagged_C, bad_C = np.append(0, last + 1), np.append(0, np.cumsum(bad_N)[last])
        cost_C = None
        if cost_false_positive is not None and rows.amount_N is not None:
            at_risk_N = np.where(bad_N, rows.amount_N[order], 0).astype(np.float64)
            saved_C = np.append(0, np.cumsum(at_risk_N)[last])
            cost_C = cost_false_positive * (flagged_C - bad_C) + at_risk_N.sum() - saved_C
        between = (score_N[last[:-1]] + score_N[last[:-1] + 1]) / 2
        return cls(np.concatenate([[_above(score_N[0])], between, [0.0]]), flagged_C, bad_C, cost_C)


def _above(highest: float) -> float:
    """A threshold that no score reaches, and the highest does not either as it is rounded to single precision."""
    return float(np.nextafter(np.float32(highest), np.float32(2)))
