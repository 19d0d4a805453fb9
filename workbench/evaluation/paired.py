"""Two models on the same rows: how much better the second is, and how sure that is.

The difference of AUC is tested after DeLong; those of every figure come from the same draws of customers (or rows) for
both models. The two agree where customers' rows are independent.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from workbench.evaluation import delong, metrics, resample
from workbench.evaluation.resample import Draws
from workbench.evaluation.scored import Scored


def compared(folds: Sequence[Scored], draws: Draws, first: str, second: str) -> dict[str, Any]:
    """The second model less the first: `figures` with interval and p for each, and `delong` for ROC AUC."""
    triples = [(one.label_N, one.scores[first], one.scores[second]) for one in folds]
    return {
        "first": first,
        "second": second,
        "figures": dict(_differences(folds, draws, first, second)),
        "delong": dataclasses.asdict(delong.compared(triples)),
    }


def means(folds: Sequence[Scored], model: str) -> dict[str, float | None]:
    """A model's figures, means over the folds."""
    found = [metrics.figures(one.label_N, one.scores[model], one.time_us_N, one.looked_at_N) for one in folds]
    return {name: _mean([one[name] for one in found]) for name in metrics.NAMES}


def _differences(
    folds: Sequence[Scored], draws: Draws, first: str, second: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`interval` and `p_value` are None for what the draws do not have: card precision where rows are drawn."""
    before, after = means(folds, first), means(folds, second)
    for name in metrics.NAMES:
        less, more = before[name], after[name]
        if less is None or more is None:
            continue
        drawn_S = draws[second][name] - draws[first][name] if name in draws[first] else None
        yield (
            name,
            {
                "difference": more - less,
                "interval": None if drawn_S is None else resample.interval(drawn_S),
                "p_value": None if drawn_S is None else resample.p_value(drawn_S),
            },
        )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return float(np.mean(known)) if known else None
