"""Columns, values and gaps that determine the label: copies and transforms of it, and what only an outcome writes.

A strong column is no leak: an honest one may explain most of the label. Two things set a leak apart. A *copy* predicts
held-out rows almost without error (explained share beyond COPY). What is less, and what determines the label of some
rows only, is a leak where it *stands alone*: all other columns together tell less than three quarters of it. (The odour
of a mushroom nearly tells its poison, but so do all its other columns; a `recovered_amount` stands alone.)

Shapes: N rows, V distinct values of a column.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from workbench.leakage.findings import Finding
from workbench.leakage.solo import Solo, auc, solo, views
from workbench.leakage.table import SEED, Audited, Column, Floats, Ints, Mask

COPY = 0.95  # explained share of the label's entropy beyond which a column is a copy of it
ALONE = 0.75  # beyond which it must not stand alone: a solo AUC of about .98
CORROBORATED = 0.75  # share of what it tells that the other columns tell too
PURE = 0.01  # share of exceptions in rows whose label a value determines
LIFT = 20.0  # times the odds of the whole table: what an honest value may do to a class
RARE = 0.05  # a class below this share is rare: that some value has none of it is normal
FEW = 20  # a number with at most so many distinct values is held to be a code
REST_ROWS = 20_000  # rows on which the other columns are asked
DROP = "Drop it, or show that it is known before the outcome (then leakcheck.accept=[{}])."


@dataclass(frozen=True)
class Suspect:
    """A finding that is a leak unless the other columns tell the same (`certain`: whatever they tell)."""

    finding: Finding
    row_N: Mask  # the rows whose label it tells
    share: float  # how much of their label's entropy it explains
    certain: bool


def suspects(table: Audited, level: float) -> list[Suspect]:
    """All columns and values that determine the label; each test at `level` over the number of them."""
    each = level / max(sum(len(list(views(one))) + 3 for one in table.columns), 1)
    return [found for column in table.columns for found in _of_column(table, column, each)]


def judged(table: Audited, found: list[Suspect], leaking: set[str]) -> list[Finding]:
    """The suspects as leaks, or as notes where the other columns, known leaks left out, corroborate them."""
    doubtful = [one for one in found if not one.certain]
    certain = [one.finding for one in found if one.certain]
    names = leaking | {one.finding.column for one in found}
    rest = others(table.without(names)) if doubtful else None
    return certain + [_judged(one, rest) for one in doubtful]


def _judged(one: Suspect, rest: tuple[Ints, Solo] | None) -> Finding:
    told = 0.0
    if rest is not None and (inside := one.row_N[rest[0]]).any():
        told = float(1 - rest[1].loss_N[inside].mean() / rest[1].base_N[inside].mean())
    text = f"{one.finding.evidence}; all other columns together explain {max(told, 0):.0%} of these rows"
    leak = told < CORROBORATED * one.share
    remedy = one.finding.remedy if leak else "The other columns say the same: nothing to do if it is known in time."
    return Finding(one.finding.check, one.finding.column, text, remedy, leak)


def others(table: Audited) -> tuple[Ints, Solo] | None:
    """Which rows were asked, and how well boosted trees on all columns predict them, each by trees of other rows."""
    if not table.columns:
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = np.sort(np.random.default_rng(SEED).permutation(len(table.label_N))[:REST_ROWS])
    label_N = table.label_N[rows]
    if min(label_N.sum(), len(label_N) - label_N.sum()) < 3:
        return None
    x_NF = np.column_stack([one.value_N[rows] for one in table.columns])
    trees = HistGradientBoostingClassifier(max_iter=60, random_state=SEED)
    folds = StratifiedKFold(3, shuffle=True, random_state=SEED)
    with threadpool_limits(1, user_api="openmp"):  # its threads spin: 0.7 s alone, 44 s on two cores that others use
        score_N = cross_val_predict(trees, x_NF, label_N, cv=folds, method="predict_proba")[:, 1]
    score_N = np.clip(score_N, 1e-6, 1 - 1e-6)
    base = label_N.mean()
    chance_N, base_N = np.where(label_N == 1, score_N, 1 - score_N), np.where(label_N == 1, base, 1 - base)
    return rows, Solo(-np.log(chance_N), -np.log(base_N), score_N)


def _of_column(table: Audited, column: Column, level: float) -> Iterator[Suspect]:
    copy = _copy(table, column, level)
    if copy is not None:
        yield copy
        if copy.certain:
            return
    yield from _gaps(table, column, level)
    yield from _values(table, column, level)


def _copy(table: Audited, column: Column, level: float) -> Suspect | None:
    best: tuple[float, str, Solo] | None = None
    for words, bin_N in views(column):
        told = solo(bin_N, table.label_N)
        if told.p_above(ALONE) <= level and (best is None or told.share > best[0] + 0.01):
            best = told.share, words, told
    if best is None:
        return None
    share, words, told = best
    copy = told.p_above(COPY) <= level
    check = "copy of the label" if copy else "stands for the label"
    text = (
        f"{words} explains {share:.1%} of the label on held-out rows (solo AUC {auc(told.score_N, table.label_N):.4f})"
    )
    certain = copy and (len(column.coded[0]) <= FEW or words != "its value" or not column.number)
    finding = Finding(check, column.name, text, DROP.format(column.name))
    return Suspect(finding, np.ones(len(table.label_N), bool), share, certain)


def _gaps(table: Audited, column: Column, level: float) -> Iterator[Suspect]:
    """Whether having no value, or having one, determines the label."""
    for row_N, words in ((column.missing_N, "missing"), (~column.missing_N, "not missing")):
        if 0 < row_N.sum() < len(row_N):
            count, positive = int(row_N.sum()), int(table.label_N[row_N].sum())
            if _determines(count, positive, float(table.label_N.mean()), level):
                yield _suspect("missingness tells the label", column, f"{words} in", row_N, table, certain=False)


def _values(table: Audited, column: Column, level: float) -> Iterator[Suspect]:
    """Values that determine the label: of a code by odds, of a number by its class mean or its neighbours."""
    distinct_V, code_N = column.coded
    count_V = np.bincount(code_N[code_N >= 0], minlength=len(distinct_V))
    positive_V = np.bincount(code_N[code_N >= 0], table.label_N[code_N >= 0], minlength=len(distinct_V)).astype(int)
    pure_V = np.minimum(positive_V, count_V - positive_V) <= PURE * count_V
    if column.number and len(distinct_V) > FEW:
        yield from _fillings(table, column, np.flatnonzero(pure_V & (count_V >= 3)), count_V, level)
    elif len(distinct_V) <= max(FEW, len(code_N) // 20):
        base, tests = float(table.label_N.mean()), level / max(len(distinct_V), 1)
        for code in np.flatnonzero(pure_V):
            if _determines(int(count_V[code]), int(positive_V[code]), base, tests):
                words = f"{column.text(distinct_V[code])} in"
                yield _suspect("value tells the label", column, words, code_N == code, table, certain=False)
    if len(distinct_V) > 2 and (main := int(np.argmax(count_V))) is not None:
        other_N = (code_N >= 0) & (code_N != main)
        count, positive = int(other_N.sum()), int(table.label_N[other_N].sum())
        if _determines(count, positive, float(table.label_N.mean()), level):
            words = f"other than {column.text(distinct_V[main])} in"
            yield _suspect("value tells the label", column, words, other_N, table, certain=False)


def _determines(count: int, positive: int, base: float, level: float) -> bool:
    """Whether the rows are of one class beyond what LIFT times the odds gives, and that class is no mere absence."""
    wanted = int(positive * 2 > count)
    exceptions, prior = (count - positive, base) if wanted else (positive, 1 - base)
    if exceptions > PURE * count or (prior > 0.5 and 1 - prior < RARE) or not 0 < prior < 1:
        return False
    odds = LIFT * prior / (1 - prior)
    return bool(stats.binom.cdf(exceptions, count, 1 / (1 + odds)) <= level)


def _fillings(table: Audited, column: Column, pure: Ints, count_V: Ints, level: float) -> Iterator[Suspect]:
    """Frequent values of a number that were put there by class: at a class's mean, or unlike all their neighbours.

    The second is asked of the three most frequent values, and counts where both classes have one, or where it lies at
    an end of the range, as missing codes do: one value inside the range may be honest (census incomes have some).
    """
    distinct_V, code_N = column.coded
    means = [] if column.whole else [column.value_N[(table.label_N == c) & ~column.missing_N].mean() for c in (0, 1)]
    exact = [
        code
        for code in pure
        if any(abs(distinct_V[code] - mean) <= 1e-9 * abs(mean) for mean in means)
        and not _on_grid(float(distinct_V[code]), distinct_V)
    ]
    for code in exact:
        words = f"{distinct_V[code]:.10g}, exactly the mean of its class, in"
        yield _suspect("gaps filled by class", column, words, code_N == code, table, certain=True)
    least = max(30, 10 * np.median(count_V), np.sort(count_V)[-3])
    often = [code for code in pure if count_V[code] >= least and code not in exact]
    odd = [code for code in often if _unlike_neighbours(table, code_N, int(code), level / len(often))]
    classes = {bool(table.label_N[code_N == code].mean() > 0.5) for code in often}
    for code in odd:
        if len(classes) == 2 or code in (0, len(distinct_V) - 1):
            words = f"{distinct_V[code]:.10g} in"
            yield _suspect("gaps filled by class", column, words, code_N == code, table, certain=False)


def _on_grid(value: float, distinct_V: Floats) -> bool:
    """Whether a value has no more decimals than the others, so that it may equal a mean by chance (54.7)."""
    for places in range(7):
        steps = np.append(distinct_V, value) * 10.0**places
        whole = np.abs(steps - np.rint(steps)) < 1e-6
        if whole[:-1].mean() >= 0.9:
            return bool(whole[-1])
    return False


def _unlike_neighbours(table: Audited, code_N: Ints, code: int, level: float) -> bool:
    """Whether the rows with the nearest other values have the class far less often (Fisher's exact test)."""
    distance_N = np.where((code_N < 0) | (code_N == code), np.iinfo(np.int64).max, np.abs(code_N - code))
    near = np.argpartition(distance_N, min(300, len(code_N) - 1))[:300]
    near = near[distance_N[near] < np.iinfo(np.int64).max]
    inside = table.label_N[code_N == code]
    wanted = int(inside.mean() > 0.5)
    a, b = int((inside == wanted).sum()), int((table.label_N[near] == wanted).sum())
    if b > 0.9 * len(near):
        return False
    return bool(stats.fisher_exact([[a, len(inside) - a], [b, len(near) - b]])[1] <= level)


def _suspect(check: str, column: Column, words: str, row_N: Mask, table: Audited, certain: bool) -> Suspect:
    inside = table.label_N[row_N]
    wanted = int(inside.mean() > 0.5)
    right, prior = int((inside == wanted).sum()), float((table.label_N == wanted).mean())
    text = f"{words} {len(inside):,} rows, {right:,} of them of class {wanted} ({prior:.1%} of all rows are)"
    return Suspect(Finding(check, column.name, text, DROP.format(column.name)), row_N, 1.0, certain)
