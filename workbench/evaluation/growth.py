"""A learning curve from evaluations of the same models on growing shares of the training rows.

Shapes: P points, S draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.evaluation import metrics, power_law, resample
from workbench.evaluation.scored import Scored

STEPS = 40  # points of a law's line


@dataclass(frozen=True)
class Point:
    """One share: how many rows it trained on, what was measured, and the rows that it was scored on."""

    share: float
    rows: int
    positives: int
    figures: dict[str, dict[str, float | None]]
    folds: Sequence[Scored]


def curves(points: Sequence[Point], samples: int, by_customer: bool, ahead: Sequence[float]) -> dict[str, Any]:
    """For every model and figure its points, the law with its band, and what the law expects of more rows.

    All points are scored on the same rows, and the same draws of them serve all: how far two points lie apart is surer
    than where each of them lies.
    """
    draws = [resample.resampled(point.folds, samples, by_customer) for point in points]
    models = list(points[-1].figures)
    drawn = {
        model: {
            name: np.stack([one[model][name] for one in draws], axis=1)
            for name in metrics.NAMES
            if all(name in one[model] for one in draws)
        }
        for model in models
    }
    found = {
        model: {name: _curve(points, model, name, value_SP, ahead) for name, value_SP in by.items()}
        for model, by in drawn.items()
    }
    forecasts = [one for model in models for one in _ahead(points, model, drawn[model]["average_precision"], ahead)]
    return {"curves": found, "ahead": forecasts, "verdict": verdict(forecasts)}


def verdict(forecasts: Sequence[dict[str, Any]]) -> str:
    """One sentence on the best model's nearest forecast, which says no more than its interval does."""
    told = [one for one in forecasts if one["model"] == "ensemble"] or list(forecasts)
    if not told:
        return "Too few shares to look ahead: at least four are needed."
    one = told[0]
    low, high = one["gain_interval"]
    by = f"{one['times']:g} times the rows are expected to change average precision by {one['gain']:+.3f}"
    sure = "more data helps" if low > 0.005 else "more data hardly helps" if high < 0.005 else "it may help or not"
    return f"{by} ({low:+.3f} to {high:+.3f}): {sure}."


def _curve(points: Sequence[Point], model: str, name: str, value_SP: Any, ahead: Sequence[float]) -> dict[str, Any]:
    rows_P = np.array([point.rows for point in points])
    value_P = np.array([point.figures[model][name] for point in points], np.float64)
    measured = [
        {"rows": int(rows), "value": float(value), "interval": resample.interval(value_S)}
        for rows, value, value_S in zip(rows_P, value_P, value_SP.T, strict=True)
    ]
    return {"points": measured, **_law(rows_P, value_P, value_SP, max(ahead, default=1.0))}


def _law(rows_P: Any, value_P: Any, value_SP: Any, times: float) -> dict[str, Any]:
    """The law, and its line with the central 95 % of the draws' laws; empty where there are too few points."""
    if len(rows_P) < power_law.MINIMUM:
        return {"law": [], "fit": None}
    law, drawn = power_law.fitted(rows_P, value_P), power_law.drawn(rows_P, value_P, value_SP)
    at = np.geomspace(rows_P[0], rows_P[-1] * times, STEPS)
    low, high = np.quantile(drawn.at(at), [0.025, 0.975], axis=0)
    line = [
        {"rows": float(r), "value": float(v), "low": float(a), "high": float(b)}
        for r, v, a, b in zip(at, law.at(at)[0], low, high, strict=True)
    ]
    fit = {
        "limit": float(law.limit[0]), "factor": float(law.factor[0]), "power": float(law.power[0]),
        "limit_interval": resample.interval(drawn.limit),
    }  # fmt: skip
    return {"law": line, "fit": fit}


def _ahead(points: Sequence[Point], model: str, value_SP: Any, ahead: Sequence[float]) -> list[dict[str, Any]]:
    """What more rows than all would give, and how much that is over all."""
    if len(points) < power_law.MINIMUM:
        return []
    rows_P = np.array([point.rows for point in points])
    value_P = np.array([point.figures[model]["average_precision"] for point in points], np.float64)
    law, drawn = power_law.fitted(rows_P, value_P), power_law.drawn(rows_P, value_P, value_SP)
    found = []
    for times in ahead:
        rows = float(rows_P[-1] * times)
        value, value_S = float(law.at(rows)[0]), drawn.at(rows)
        low, high = resample.interval(value_S)
        gain_S = value_S - drawn.at(float(rows_P[-1]))
        found.append(
            {
                "model": model, "times": times, "rows": int(rows), "value": value, "low": low, "high": high,
                "gain": value - float(law.at(float(rows_P[-1]))[0]), "gain_interval": resample.interval(gain_S),
            }
        )  # fmt: skip
    return found
