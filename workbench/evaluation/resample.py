"""Figures of rows drawn with replacement, for all models on the same draws: intervals, and differences of two models.

Drawn are customers with all their rows where the data knows customers (payments of one are alike, and rows drawn apart
promise more certainty than there is), else rows. A draw says how often each unit counts. Between two draws only those
counts change, so each model's rows are put in order once: what a draw needs is how many rows of each class lie between
the scores of two positive rows, and that is one product of a sparse matrix with the counts.

Shapes: N rows, U units, S draws, D different scores of positive rows, M models.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from workbench.errors import InputError
from workbench.evaluation import metrics
from workbench.evaluation.capacity import Capacity
from workbench.evaluation.scored import Scored

NAMES = (*metrics.NAMES, "recall_at_threshold")
CELLS = 8_000_000  # numbers that are held at once for each product
TRIES = 50  # times as many draws as asked, after which the rows are held to be of one class
NO_RANKING = "The scored rows are of one class, or nearly so; none can be ranked. Widen what is scored."
Array = NDArray[Any]
Draws = dict[str, dict[str, Array]]  # model -> figure -> [S]


class Ranked:
    """A model's rows in order, ready to be counted."""

    def __init__(self, label_N: Array, score_N: Array, unit_N: Array, units: int) -> None:
        bad_N = label_N == 1
        edge_D = -np.unique(-score_N[bad_N])
        place_N = np.searchsorted(-edge_D, -score_N)  # the first of the edges that is not above the score
        tied_N = np.append(edge_D, -np.inf)[place_N] == score_N
        shape = (len(edge_D), units)
        self.bad_DU = _counts(place_N[bad_N], unit_N[bad_N], shape)
        between_N = (2 * place_N + tied_N)[~bad_N]  # even: between two edges; odd: on one
        self.good_BU = _counts(between_N, unit_N[~bad_N], (2 * len(edge_D) + 1, units))

    def figures(self, count_US: Array) -> tuple[Array, Array]:
        """ROC AUC [S] and average precision [S]; NaN where a draw has one class only."""
        bad_DS, good_BS = self.bad_DU @ count_US, self.good_BU @ count_US
        found_DS, seen_BS = np.cumsum(bad_DS, axis=0), np.cumsum(good_BS, axis=0)
        bad_S, good_S = found_DS[-1], seen_BS[-1]
        reached_DS = found_DS + seen_BS[1::2]
        with np.errstate(invalid="ignore", divide="ignore"):
            average_S = (bad_DS * np.divide(found_DS, reached_DS, where=reached_DS > 0, out=0 * found_DS)).sum(0)
            pairs_S = (good_BS[2::2] * found_DS).sum(0) + (good_BS[1::2] * (found_DS - bad_DS / 2)).sum(0)
            return pairs_S / (bad_S * good_S), np.where(good_S > 0, average_S / bad_S, np.nan)


class _Fold:
    """What is counted of one fold."""

    def __init__(self, one: Scored, unit_N: Array, units: int, capacity: bool) -> None:
        bad_N = one.label_N == 1
        self.ranked = {name: Ranked(one.label_N, z_N, unit_N, units) for name, z_N in one.scores.items()}
        self.bad_U = np.bincount(unit_N[bad_N], minlength=units)
        self.caught = {
            name: np.bincount(unit_N[bad_N & flag_N], minlength=units) for name, flag_N in one.flagged.items()
        }
        self.capacity = {name: Capacity(one, z_N, unit_N) for name, z_N in one.scores.items()} if capacity else {}

    def figures(self, model: str, count_US: Array) -> dict[str, Array]:
        found = dict(zip(NAMES, self.ranked[model].figures(count_US), strict=False))
        if model in self.capacity:
            found[NAMES[2]] = self.capacity[model].precision(count_US)
        if model in self.caught:
            with np.errstate(invalid="ignore"):
                found[NAMES[3]] = (self.caught[model] @ count_US) / (self.bad_U @ count_US)
        return found


def resampled(
    folds: Sequence[Scored], samples: int, by_customer: bool = True, capacity: bool = True, seed: int = 0
) -> Draws:
    """Each model's figures on `samples` draws, means over the folds; a customer is drawn in all folds at once.

    Card precision is there where customers are drawn (and `capacity`), recall where rows are flagged. Raises
    `InputError` where rows of one class alone are drawn all the time.
    """
    if not all(one.both_classes for one in folds):
        raise InputError(NO_RANKING)
    by_customer = by_customer and folds[0].card_N is not None
    unit_FN, units = _units(folds, by_customer)
    counted = [
        _Fold(one, unit_N, units, by_customer and capacity and one.capacity)
        for one, unit_N in zip(folds, unit_FN, strict=True)
    ]
    parts: list[Draws] = []
    held, tried = 0, 0
    for count_US in _draws(units, samples, [len(one) for one in folds], seed):
        part = {model: _mean([one.figures(model, count_US) for one in counted]) for model in folds[0].scores}
        whole_S = np.all([np.isfinite(values_S) for by in part.values() for values_S in by.values()], axis=0)
        parts.append({m: {name: values_S[whole_S] for name, values_S in by.items()} for m, by in part.items()})
        held, tried = held + int(whole_S.sum()), tried + len(whole_S)
        if held >= samples:
            break
        if tried > TRIES * samples:
            raise InputError(NO_RANKING)
    return {
        model: {name: np.concatenate([part[model][name] for part in parts])[:samples] for name in by}
        for model, by in parts[0].items()
    }


def interval(values_S: Array) -> list[float]:
    """The ends of the central 95 %."""
    low, high = np.quantile(values_S, [0.025, 0.975])
    return [float(low), float(high)]


def p_value(difference_S: Array) -> float:
    """Two-sided: twice the share of draws on the rarer side of 0, the draw that was observed counted with them."""
    rarer = min((difference_S <= 0).sum(), (difference_S >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (len(difference_S) + 1)))


def _units(folds: Sequence[Scored], by_customer: bool) -> tuple[list[Array], int]:
    """What is drawn: for each fold the unit of each row, and how many units there are."""
    ends = np.cumsum([len(one) for one in folds])
    if by_customer:
        names, unit_N = np.unique(np.concatenate([one.card_N for one in folds]), return_inverse=True)  # type: ignore[arg-type]
        return np.split(unit_N, ends[:-1]), len(names)
    return np.split(np.arange(ends[-1]), ends[:-1]), int(ends[-1])


def _draws(units: int, samples: int, rows: Sequence[int], seed: int) -> Iterator[Array]:
    """How often each unit counts [U, S], some draws at a time, without an end."""
    random = np.random.default_rng(seed)
    width = max(1, min(samples, CELLS // max(units, *rows)))
    while True:
        drawn_SU = random.integers(0, units, (width, units))
        yield np.stack([np.bincount(one_U, minlength=units) for one_U in drawn_SU], axis=1).astype(np.float64)


def _mean(found: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}


def _counts(row: Array, column: Array, shape: tuple[int, int]) -> Any:
    """A matrix of how often each (row, column) occurs."""
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape)
