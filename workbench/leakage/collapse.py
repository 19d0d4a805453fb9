"""Columns whose power does not survive where it must: in the test part, in later times, with new entities.

All three nulls are exchangeability. Where a split is random, a column's AUC in the test part differs from that in the
training part by chance only (DeLong's variance). Where rows are split at random although they have times or entities, a
column that tells held-out *rows* but neither later times nor other entities has memorised which period or entity it was.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from workbench.leakage.findings import Finding
from workbench.leakage.solo import FOLDS, Solo, auc, binned, solo
from workbench.leakage.table import Audited, Floats, Ints

SMALL = 0.02  # a fall of AUC that is not worth a word
REMEMBERED = 0.5  # share of the lift over AUC .5 that must be gone


def parts(table: Audited, level: float) -> Iterator[Finding]:
    """Columns that order the training rows better than the test rows of a split that is not one of time."""
    if table.part is None or table.split == "time" or len(table.part.coded[0]) < 2:
        return
    part_N = table.part.coded[1]
    train_N = part_N == np.bincount(part_N[part_N >= 0]).argmax()
    numbers = [one for one in table.columns if one.number]
    for column in numbers:
        value_N = np.where(column.missing_N, np.nanmin(column.value_N, initial=0) - 1, column.value_N)
        (seen, seen_var), (new, new_var) = (delong(value_N[r], table.label_N[r]) for r in (train_N, ~train_N))
        fall = abs(seen - 0.5) - (new - 0.5) * np.sign(seen - 0.5)
        p = float(stats.norm.sf(fall / np.sqrt(seen_var + new_var)))
        if fall > SMALL and p <= level / len(numbers):
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
        fold_V = np.random.default_rng(0).integers(0, FOLDS, len(entity.coded[0]) + 1)
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
        (seen, seen_var), (new, new_var) = (delong(_score(one, scored_N), label_N) for one in (near, far))
        gone = (seen - 0.5) * REMEMBERED - (new - 0.5)
        p = float(stats.norm.sf(gone / np.sqrt(seen_var * REMEMBERED**2 + new_var)))
        if seen - new > 5 * SMALL and p <= level / len(table.columns):
            text = f"AUC {seen:.3f} for held-out rows, {new:.3f} for those of {where} (p = {p:.0e})"
            remedy = "It names the period or entity. Drop it, or split by that (leakcheck.split=time or entity)."
            yield Finding("remembers, and does not carry over", column.name, text, remedy, leak)


def _score(one: Solo, row_N: np.ndarray) -> Floats:
    return one.score_N[row_N]


def delong(score_N: Floats, label_N: Ints) -> tuple[float, float]:
    """The area under the ROC curve and its variance (DeLong et al. 1988, by mid-ranks)."""
    positive_N, negative_N = score_N[label_N == 1], score_N[label_N == 0]
    if min(len(positive_N), len(negative_N)) < 2:
        return 0.5, 1.0
    rank_N = stats.rankdata(score_N)
    above = (rank_N[label_N == 1] - stats.rankdata(positive_N)) / len(negative_N)
    below = 1 - (rank_N[label_N == 0] - stats.rankdata(negative_N)) / len(positive_N)
    return auc(score_N, label_N), float(above.var() / len(positive_N) + below.var() / len(negative_N)) + 1e-12


