"""What one column alone tells of the label, measured on rows that it was not fitted on, with a p-value for how much.

A column's values are put in bins without a look at the label; the share of positives in each bin, from four fifths of
the rows, predicts the fifth. Its log loss against that of the base rate gives the *explained share* of the label's
entropy: 0 for noise, 1 for a copy. (A column with AUC .95 explains about .55, one with .98 about .75.)

Shapes: N rows, B bins, K folds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from workbench.leakage.table import SEED, Column, Floats, Ints

BINS = 64
FOLDS = 5


@dataclass(frozen=True)
class Solo:
    """How well held-out rows are predicted: the log loss of each, and that of the base rate."""

    loss_N: Floats
    base_N: Floats
    score_N: Floats

    @property
    def share(self) -> float:
        """The explained share of the label's entropy."""
        return float(1 - self.loss_N.mean() / self.base_N.mean())

    def p_above(self, share: float) -> float:
        """The p-value of "it explains at most this share" (one-sided z test on the rows' losses)."""
        gain_N = (1 - share) * self.base_N - self.loss_N
        error = gain_N.std() / np.sqrt(len(gain_N))
        return float(stats.norm.sf(gain_N.mean() / max(error, 1e-12)))


def solo(bin_N: Ints, label_N: Ints, fold_N: Ints | None = None, forward: bool = False) -> Solo:
    """How well the bins predict; folds are random (fixed seed) unless given; `forward` learns from lower folds only."""
    if fold_N is None:
        fold_N = np.random.default_rng(SEED).integers(0, FOLDS, len(label_N))
    bins, folds = int(bin_N.max()) + 1, int(fold_N.max()) + 1
    cell_N = bin_N * folds + fold_N
    count_BK = np.bincount(cell_N, minlength=bins * folds).reshape(bins, folds).astype(float)
    positive_BK = np.bincount(cell_N, label_N, minlength=bins * folds).reshape(bins, folds).astype(float)
    known_BK, hit_BK = _others(count_BK, forward), _others(positive_BK, forward)
    base_K = (hit_BK.sum(0) + 0.5) / (known_BK.sum(0) + 1)
    score_N = ((hit_BK + base_K) / (known_BK + 1))[bin_N, fold_N]
    return Solo(_loss(score_N, label_N), _loss(base_K[fold_N], label_N), score_N)


def _others(count_BK: Floats, forward: bool) -> Floats:
    return np.cumsum(count_BK, 1) - count_BK if forward else count_BK.sum(1, keepdims=True) - count_BK


def _loss(score_N: Floats, label_N: Ints) -> Floats:
    return -np.log(np.clip(np.where(label_N == 1, score_N, 1 - score_N), 1e-12, 1))


def binned(column: Column, bins: int = BINS) -> Ints:
    """A bin for each row: a category, a frequent number or "missing" has its own; other numbers share theirs."""
    distinct_V, code_N = column.coded
    if not column.number or len(distinct_V) <= bins:
        return np.where(code_N < 0, len(distinct_V), code_N)
    count_V = np.bincount(code_N[code_N >= 0], minlength=len(distinct_V))
    width = max(count_V.sum() / bins, min(20.0, count_V.sum() / 8))  # at least 20 rows in a bin, or 8 bins
    frequent_V = count_V >= width
    slice_V = (np.cumsum(np.where(frequent_V, 0, count_V)) / width).astype(np.int64)
    cut_V = np.append(True, (np.diff(slice_V) > 0) | frequent_V[1:] | frequent_V[:-1])
    bin_V = np.cumsum(cut_V) - 1
    return np.where(code_N < 0, bin_V[-1] + 1, bin_V[code_N])


def views(column: Column) -> Iterator[tuple[str, Ints]]:
    """The column as it is, and what its form could hide: bins with the words that say how."""
    yield "its value", binned(column)
    if column.categories is not None:
        yield from _text_views(column)
    elif len(column.coded[0]) > BINS:
        yield from _number_views(column)


def _text_views(column: Column) -> Iterator[tuple[str, Ints]]:
    texts, codes_N = column.categories or (), column.coded[1]
    if len(texts) <= BINS:
        return
    at_N = column.coded[0][codes_N].astype(np.int64)
    forms = {f"its first {n} characters": [text[:n] for text in texts] for n in (1, 2, 3)}
    forms |= {f"its last {n} characters": [text[-n:] for text in texts] for n in (1, 2, 3)}
    forms["its length"] = [str(len(text)) for text in texts]
    yield "its alphabetical place", binned(replace(column, categories=None))
    numbers = np.array([int("0" + "".join(filter(str.isdigit, text))[:15]) for text in texts], np.float64)
    yield "the number in it", binned(Column(column.name, np.where(codes_N < 0, np.nan, numbers[at_N]), whole=True))
    for words, form in forms.items():
        distinct, code_T = np.unique(np.array(form), return_inverse=True)
        yield words, np.where(codes_N < 0, len(distinct), code_T[at_N])


def _number_views(column: Column) -> Iterator[tuple[str, Ints]]:
    value_N = np.where(column.missing_N, 0, column.value_N)
    if column.whole:
        yield "whether it is even", (value_N % 2).astype(np.int64)
        yield "its last digit", (np.abs(value_N) % 10).astype(np.int64)
        return
    places_N = np.full(len(value_N), 9)
    for places in range(8, -1, -1):
        scaled = value_N * 10.0**places
        places_N = np.where(np.abs(scaled - np.rint(scaled)) < 1e-4, places, places_N)
    yield "its number of decimals", places_N
    for places in (1, 2, 3, 4, 5, 6):
        yield f"its {places}. decimal", (np.rint(np.abs(value_N) * 10.0**places) % 10).astype(np.int64)


def auc(score_N: Floats, label_N: Ints) -> float:
    """Area under the ROC curve, ties counted half."""
    rank_N = stats.rankdata(score_N)
    positive = int(label_N.sum())
    negative = len(label_N) - positive
    return float((rank_N[label_N == 1].sum() - positive * (positive + 1) / 2) / max(positive * negative, 1))
