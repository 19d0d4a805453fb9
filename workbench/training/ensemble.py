"""The weights of an ensemble that is linear in log-odds, chosen on rows that no member was trained on.

Shapes: N rows, M members. A fold is (labels [N], members' log-odds [N, M]).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.decisions import EnsembleConfig
from workbench.training import logistic
from workbench.training.ranking import Ranked, difference, mean_precision, precision

STEPS = 10  # of the grid: finer weights only fit the noise of the validation rows
PATIENCE = 10  # draws without a gain after which greedy selection ends
GAIN = 1e-6  # of average precision: less is no gain
Array = NDArray[Any]
Folds = Sequence[tuple[Array, Array]]


def weights(folds: Folds, cfg: EnsembleConfig | None = None) -> list[float]:
    """Non-negative weights with sum 1, chosen by the configured method; a member that does not pay gets 0."""
    cfg = cfg or EnsembleConfig()
    members = folds[0][1].shape[1]
    kept = np.arange(members)
    while True:
        some = [(label_N, np.asarray(logit_NM[:, kept], np.float64)) for label_N, logit_NM in folds]
        ranked = [Ranked.of(*fold) for fold in some]
        found = METHODS[cfg.method](some, ranked, cfg)
        if cfg.equal is not None and len(kept) == members and not earns(ranked, found, cfg.equal):
            return [1 / members] * members
        leaving = None if cfg.noise is None else idle(ranked, found, cfg.noise)
        if leaving is None:
            return _spread(found, kept, members)
        kept = np.delete(kept, leaving)


def earns(ranked: list[Ranked], found: Array, noise: float) -> bool:
    """Whether weights rank better than equal ones by more than so many standard errors: few rows choose by chance."""
    gain, error = difference(ranked, found, np.full(len(found), 1 / len(found)))
    return gain > noise * error


def idle(ranked: list[Ranked], found: Array, noise: float) -> int | None:
    """The member whose absence would be felt least, where it costs no more than so many standard errors.

    Absent, its weight goes to the others in proportion. Members of weight 0 ask for no decision.
    """
    heard = np.flatnonzero(found)
    if len(heard) < 2:
        return None
    costs = {}
    for member in heard:
        others = np.where(np.arange(len(found)) == member, 0, found)
        cost, error = difference(ranked, found, others / others.sum())
        costs[int(member)] = cost - noise * error
    least = min(costs, key=lambda one: costs[one])
    return least if costs[least] <= 0 else None


def greedy(_folds: Folds, ranked: list[Ranked], cfg: EnsembleConfig) -> Array:
    """Members drawn one by one, each time the one with which the mean of all draws ranks best.

    Caruana, Niculescu-Mizil, Crew and Ksikes, Ensemble Selection from Libraries of Models (2004). The first draw is the
    best member, and the best of all draws counts: the mixture ranks the folds at least as well as every member.
    """
    members = ranked[0].positive_PM.shape[1]
    drawn, best, best_score = np.zeros(members), np.zeros(members), -np.inf
    sums = [(np.zeros(len(one.positive_PM)), np.zeros(len(one.negative_NM))) for one in ranked]
    for draw in range(cfg.draws):
        scores = [_with(ranked, sums, member) for member in range(members)]
        chosen = max(range(members), key=lambda one: (round(scores[one], 9), -drawn[one]))
        drawn[chosen] += 1
        sums = [
            (bad + one.positive_PM[:, chosen], good + one.negative_NM[:, chosen])
            for one, (bad, good) in zip(ranked, sums, strict=True)
        ]
        if scores[chosen] > best_score + GAIN:
            best, best_score = drawn.copy(), scores[chosen]
        elif draw - best.sum() >= PATIENCE:
            break
    return best / best.sum()


def stacked(folds: Folds, _ranked: list[Ranked], _cfg: EnsembleConfig) -> Array:
    """The slopes of a logistic regression on the members' log-odds, none below 0, made to sum to 1.

    Their scale and the intercept say how sure to be and change no rank: they are left to calibration.
    """
    _intercept, slope_M = logistic.non_negative(folds)
    slope_M = np.where(slope_M > GAIN * slope_M.max(), slope_M, 0)
    return slope_M / slope_M.sum() if slope_M.sum() > 0 else np.full(len(slope_M), 1 / len(slope_M))


def grid(_folds: Folds, ranked: list[Ranked], _cfg: EnsembleConfig) -> Array:
    """The tenths that rank best; of equal mixtures the one nearest to equal weights."""
    candidates = [np.array(one) / STEPS for one in _compositions(STEPS, ranked[0].positive_PM.shape[1])]
    scores = [mean_precision(ranked, one) for one in candidates]
    return max(zip(candidates, scores, strict=True), key=lambda one: (round(one[1], 6), -np.square(one[0]).sum()))[0]


METHODS: dict[str, Callable[[Folds, list[Ranked], EnsembleConfig], Array]] = {
    "greedy": greedy,
    "stacked": stacked,
    "grid": grid,
}


def _with(ranked: list[Ranked], sums: list[tuple[Array, Array]], member: int) -> float:
    """The mean average precision of what is drawn and one member more; a sum ranks as its mean does."""
    pairs = zip(ranked, sums, strict=True)
    return float(
        np.mean([precision(b + one.positive_PM[:, member], g + one.negative_NM[:, member]) for one, (b, g) in pairs])
    )


def _spread(found: Array, kept: Array, members: int) -> list[float]:
    all_M = np.zeros(members)
    all_M[kept] = found
    return [float(one) for one in all_M]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
