"""Columns, values and gaps that determine the label: copies and transforms of it, and what only an outcome writes.

A strong column is no leak: an honest one may explain most of the label. Two things set a leak apart. A *copy* predicts
held-out rows almost without error (explained share beyond COPY). What is less, and what determines the label of some
rows only, is a leak where it *stands alone*: all other columns together tell less than three quarters of it. (The odour
of a mushroom nearly tells its poison, but so do all its other columns; a `recovered_amount` stands alone.)

Shapes: N rows, V distinct values of a column.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from workbench.leakage import suspect
from workbench.leakage.fillings import fillings
from workbench.leakage.findings import Finding
from workbench.leakage.solo import Solo, auc, solo, views
from workbench.leakage.suspect import DROP, Suspect
from workbench.leakage.table import Audited, Column

COPY = 0.95  # explained share of the label's entropy beyond which a column is a copy of it
ALONE = 0.75  # beyond which it must not stand alone: a solo AUC of about .98
PURE = 0.01  # share of exceptions in rows whose label a value determines
LIFT = 20.0  # times the odds of the whole table: what an honest value may do to a class
RARE = 0.05  # a class below this share is rare: that some value has none of it is normal
FEW = 20  # a number with at most so many distinct values is held to be a code


def suspects(table: Audited, level: float) -> list[Suspect]:
    """All columns and values that determine the label; each test at `level` over the number of them."""
    each = level / max(sum(len(list(views(one))) + 3 for one in table.columns), 1)
    return [found for column in table.columns for found in _of_column(table, column, each)]


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
                yield suspect.of_rows("missingness tells the label", column, f"{words} in", row_N, table, certain=False)


def _values(table: Audited, column: Column, level: float) -> Iterator[Suspect]:
    """Values that determine the label: of a code by odds, of a number by its class mean or its neighbours."""
    distinct_V, code_N = column.coded
    count_V = np.bincount(code_N[code_N >= 0], minlength=len(distinct_V))
    positive_V = np.bincount(code_N[code_N >= 0], table.label_N[code_N >= 0], minlength=len(distinct_V)).astype(int)
    pure_V = np.minimum(positive_V, count_V - positive_V) <= PURE * count_V
    if column.number and len(distinct_V) > FEW:
        yield from fillings(table, column, np.flatnonzero(pure_V & (count_V >= 3)), count_V, level)
    elif len(distinct_V) <= max(FEW, len(code_N) // 20):
        base, tests = float(table.label_N.mean()), level / max(len(distinct_V), 1)
        for code in np.flatnonzero(pure_V):
            if _determines(int(count_V[code]), int(positive_V[code]), base, tests):
                words = f"{column.text(distinct_V[code])} in"
                yield suspect.of_rows("value tells the label", column, words, code_N == code, table, certain=False)
    if len(distinct_V) > 2 and (main := int(np.argmax(count_V))) is not None:
        other_N = (code_N >= 0) & (code_N != main)
        count, positive = int(other_N.sum()), int(table.label_N[other_N].sum())
        if _determines(count, positive, float(table.label_N.mean()), level):
            words = f"other than {column.text(distinct_V[main])} in"
            yield suspect.of_rows("value tells the label", column, words, other_N, table, certain=False)


def _determines(count: int, positive: int, base: float, level: float) -> bool:
    """Whether the rows are of one class beyond what LIFT times the odds gives, and that class is no mere absence."""
    wanted = int(positive * 2 > count)
    exceptions, prior = (count - positive, base) if wanted else (positive, 1 - base)
    if exceptions > PURE * count or (prior > 0.5 and 1 - prior < RARE) or not 0 < prior < 1:
        return False
    odds = LIFT * prior / (1 - prior)
    return bool(stats.binom.cdf(exceptions, count, 1 / (1 + odds)) <= level)
