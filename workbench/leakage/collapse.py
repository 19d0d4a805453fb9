"""Columns whose power does not survive where it must: in the test part, in later times, with new entities.

All three nulls are exchangeability. Where a split is random, a column's AUC in the test part differs from that in the
training part by chance only. Where rows are split at random although they have times or entities, a
column that tells held-out *rows* but neither later times nor other entities has memorised which period or entity.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from workbench.leakage.findings import Finding
from workbench.leakage.solo import FOLDS, auc, binned, solo
from workbench.leakage.table import SEED, Audited, Floats, Ints, Mask

SMALL = 0.02  # a fall of AUC that is not worth a word
REMEMBERED = 0.5  # share of the lift over AUC .5 that must be gone


def parts(table: Audited, level: float) -> Iterator[Finding]:
    """Columns that order the training rows better than the test rows of a split that is not one of time."""
    if table.part is None or table.split == "time" or len(table.part.coded[0]) < 2:
        return
    part_N = table.part.coded[1]
    train_N = part_N == np.bincount(part_N[part_N >= 0]).argmax()
    numbers = [one for one in table.columns if one.number]
    together = [one.coded[1] + 1 for one in table.parted]
    for column in numbers:
        value_N = np.where(column.missing_N, np.nanmin(column.value_N, initial=0) - 1, column.value_N)
        seen, new, p = fall(value_N, table.label_N, train_N, together)
        if abs(seen - new) > SMALL and p <= level / len(numbers):
            text = f"solo AUC {seen:.3f} in the training part, {new:.3f} in the others (p = {p:.0e})"
            remedy = "It was made from the labels of the training rows: leave each row's own label out (out of fold)."
            yield Finding("power gone in the test part", column.name, text, remedy)


def periods(table: Audited, level: float) -> Iterator[Finding]:
    """Columns that tell held-out rows of the same period, and nothing of the next one."""
    if table.time_N is None or len(np.unique(table.time_N)) < FOLDS:
        return
    cuts = np.quantile(table.time_N, np.arange(1, FOLDS) / FOLDS)
    yield from _memories(table, np.searchsorted(cuts, table.time_N), "the next period", level, table.split == "random")


def entities(table: Audited, level: float) -> Iterator[Finding]:
    """Columns that tell held-out rows of the same entity, and nothing of another one."""
    for entity in table.entities:
        if len(entity.coded[0]) < 10 * FOLDS or table.split == "time":
            continue
        fold_V = np.random.default_rng(SEED).integers(0, FOLDS, len(entity.coded[0]) + 1)
        fold_N = fold_V[entity.coded[1]]
        yield from _memories(table, fold_N, f"another {entity.name}", level, table.split == "random")


def _memories(table: Audited, fold_N: Ints, where: str, level: float, leak: bool) -> Iterator[Finding]:
    # Learning from the periods before leaves the first one unscored: both ways are compared on the others.
    forward = where == "the next period"
    scored_N = fold_N > 0 if forward else np.ones(len(fold_N), bool)
    label_N = table.label_N[scored_N]
    if not 0 < label_N.sum() < len(label_N):
        return
    for column in table.columns:
        bin_N = binned(column, bins=1024)
        near, far = solo(bin_N, table.label_N), solo(bin_N, table.label_N, fold_N, forward)
        (seen, seen_var), (new, new_var) = (area(one.score_N[scored_N], label_N) for one in (near, far))
        gone = (seen - 0.5) * REMEMBERED - (new - 0.5)
        p = float(stats.norm.sf(gone / np.sqrt(seen_var * REMEMBERED**2 + new_var)))
        if seen - new > 5 * SMALL and p <= level / len(table.columns):
            text = f"AUC {seen:.3f} for held-out rows, {new:.3f} for those of {where} (p = {p:.0e})"
            remedy = "It names the period or entity. Drop it, or split by that (leakcheck.split=time or entity)."
            yield Finding("remembers, and does not carry over", column.name, text, remedy, leak)


def area(score_N: Floats, label_N: Ints) -> tuple[float, float]:
    """The area under the ROC curve, and a bound on its variance, good for few positives too (Birnbaum, Klose 1957)."""
    positive = int(label_N.sum())
    return auc(score_N, label_N), 0.25 / max(min(positive, len(label_N) - positive), 1)


def fall(value_N: Floats, label_N: Ints, train_N: Mask, together: Sequence[Ints] = ()) -> tuple[float, float, float]:
    """The AUC in the training part and in the others, and the p-value of "they differ by chance".

    The variance is DeLong's (1988) of all rows, as the null has it, for parts of these sizes; Student's t, because it
    is estimated from the rarer class. With each part's own variance, 2 of 60 tables of pure chance were refused.
    `together`: the entities, where whole ones were drawn into the parts. Their rows share values and labels, so that
    chance moves all of one at once: the variance of their sums counts where it is larger (Obuchowski 1997).
    """
    rank_N, positive = stats.rankdata(value_N), label_N == 1
    share_N = np.empty(len(value_N))  # of the other class that the row is above (a negative: below)
    share_N[positive] = (rank_N[positive] - stats.rankdata(value_N[positive])) / max((~positive).sum(), 1)
    share_N[~positive] = (rank_N[~positive] - stats.rankdata(value_N[~positive])) / max(positive.sum(), 1)
    sizes = [max(int((positive[rows] == of).sum()), 1) for of in (True, False) for rows in (train_N, ~train_N)]
    spread = [share_N[positive].var(), share_N[~positive].var()]
    variance = spread[0] * (1 / sizes[0] + 1 / sizes[1]) + spread[1] * (1 / sizes[2] + 1 / sizes[3])
    for code_N in together:
        clustered, counts = _clustered(share_N, positive, train_N, code_N)
        variance, sizes = max(variance, clustered), [*sizes, *counts]
    seen, new = auc(value_N[train_N], label_N[train_N]), auc(value_N[~train_N], label_N[~train_N])
    lost = (seen - new) * (1 if seen >= 0.5 else -1)
    return seen, new, float(stats.t.sf(lost / np.sqrt(variance + 1e-12), max(min(sizes) - 1, 1)))


def _clustered(share_N: Floats, positive: Mask, train_N: Mask, code_N: Ints) -> tuple[float, list[int]]:
    """The variance of the difference where whole entities were drawn, and how many there are in either part."""
    part_N = np.where(positive, (share_N - share_N[positive].mean()) / max(positive.sum(), 1), 0.0)
    part_N += np.where(positive, 0.0, (share_N - share_N[~positive].mean()) / max((~positive).sum(), 1))
    counts = [max(len(np.unique(code_N[rows])), 1) for rows in (train_N, ~train_N)]
    whole = float(np.sum(np.bincount(code_N, part_N) ** 2)) * sum(counts)
    return whole / counts[0] + whole / counts[1], counts
