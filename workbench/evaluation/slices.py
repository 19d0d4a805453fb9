"""Parts of the scored rows that are judged by themselves: amount, hour, age of the customer, kind of fraud.

A slice with few rows of either class says nothing: it is counted, marked and given no figures. The rows of all folds
count together. A scenario's slice holds its frauds beside all good rows: how well that kind is found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation import metrics, resample
from workbench.evaluation.context import Context
from workbench.evaluation.scored import Scored
from workbench.evaluation.settings import SlicesConfig

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
SHARES = (0.2, 0.4, 0.6, 0.8, 0.95)  # of the rows, at which bands of the amount end where nobody says
Array = NDArray[Any]


@dataclass(frozen=True)
class Slice:
    """Some of the rows, by what they have in common."""

    of: str  # amount | hour | age | scenario
    name: str
    chosen_N: Array


def judged(rows: Scored, slices: Sequence[Slice], cfg: SlicesConfig, by_customer: bool) -> list[dict[str, Any]]:
    """Of each slice its counts and, where it is large enough, each model's figures with intervals."""
    return [
        {
            "of": one.of,
            "name": one.name,
            "rows": len(part := rows.rows(one.chosen_N)),
            "positives": part.positives,
            "small": (small := min(part.positives, len(part) - part.positives) < cfg.minimum),
            "models": {} if small else _figures(part, cfg.samples, by_customer),
        }
        for one in slices
    ]


def cut(rows: Scored, known: Context, cfg: SlicesConfig, money: bool) -> list[Slice]:
    """All slices that the data set knows; those without any row are left out."""
    found = [*_amounts(known.amount_N, cfg, money), *_hours(rows, cfg), *_ages(known, cfg), *_scenarios(rows, known)]
    return [one for one in found if one.chosen_N.any()]


def _figures(part: Scored, samples: int, by_customer: bool) -> dict[str, dict[str, Any]]:
    draws = resample.resampled([part], samples, by_customer, capacity=False)
    bad_N = part.label_N == 1
    found = {}
    for model, score_N in part.scores.items():
        values = {
            "roc_auc": metrics.roc_auc(part.label_N, score_N),
            "average_precision": metrics.average_precision(part.label_N, score_N),
        }
        if model in part.flagged:
            values["recall_at_threshold"] = float(part.flagged[model][bad_N].mean())
        found[model] = {
            name: {"value": value, "interval": resample.interval(draws[model][name])} for name, value in values.items()
        }
    return found


def bands(of: str, value_N: Array, ends: Sequence[float], show: Any) -> Iterator[Slice]:
    """A slice up to each end (which belongs to it), and one beyond the last."""
    low = -np.inf
    for end in [*ends, np.inf]:
        name = (
            f"above {show(low)}"
            if end == np.inf
            else f"{show(low)} to {show(end)}"
            if low > -np.inf
            else f"up to {show(end)}"
        )
        yield Slice(of, name, (value_N > low) & (value_N <= end))
        low = end


def _amounts(amount_N: Array | None, cfg: SlicesConfig, money: bool) -> Iterator[Slice]:
    if amount_N is None or not np.isfinite(amount_N).any():
        return
    ends = cfg.amount_bands or np.unique(np.nanquantile(amount_N, SHARES, method="lower")).tolist()
    yield from bands("amount", amount_N, ends, (lambda v: f"{v / 100:,.2f}") if money else (lambda v: f"{v:,g}"))


def _hours(rows: Scored, cfg: SlicesConfig) -> Iterator[Slice]:
    hour_N = rows.time_us_N % DAY_US // HOUR_US
    for first in range(0, 24, cfg.hours):
        chosen_N = (hour_N >= first) & (hour_N < first + cfg.hours)
        yield Slice("hour", f"{first:02}:00 to {first + cfg.hours:02}:00", chosen_N)


def _ages(known: Context, cfg: SlicesConfig) -> Iterator[Slice]:
    if known.age_us_N is not None:
        yield from bands("age", known.age_us_N / DAY_US, cfg.age_days, lambda v: f"{v:g} days")


def _scenarios(rows: Scored, known: Context) -> Iterator[Slice]:
    if known.scenario_N is None:
        return
    for name in sorted(set(known.scenario_N[rows.label_N == 1]) - {""}):
        yield Slice("scenario", str(name), (rows.label_N != 1) | (known.scenario_N == name))
