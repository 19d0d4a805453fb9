"""Columns that were made from the labels, or from later rows, of the group that a row belongs to.

A group is what shares a value of an entity or of any column that repeats. Statistics of a group are recognised by their
values (equal to the last digit that the column keeps), and where somebody smoothed, scaled or rounded them, by the
*reliability ceiling*: the positive share of a group is its true rate and the chance of its few rows. What knows the
true rate at best correlates with the share up to the share's reliability (squared); what correlates more knows the
chance too, so it has seen these very labels.

Shapes: N rows, G groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from workbench.leakage.findings import Finding
from workbench.leakage.solo import auc
from workbench.leakage.table import SEED, Audited, Column, Floats, Ints

LIMIT = 200_000  # rows of whole groups that are looked at
MOST = 64  # groupings that are tried: entities, then categories, then numbers that repeat
PAIRS = 0.9  # correlation of the labels of two rows with one value, beyond which the value encodes them
CEILING = 0.05  # what the squared correlation must exceed the reliability by, besides by chance
QUICK = 4_000  # rows on which a column is looked at first
LEAST_GROUPS = 50  # with several rows
BLOCKS = 50  # of the jackknife
OUT_OF_FOLD = "Compute it without the row itself and from earlier labels only (known_positive_rate does)."


@dataclass(frozen=True)
class Groups:
    """Rows of whole groups: the group of each row, and each group's size and positives."""

    code_N: Ints
    count_G: Floats
    positive_G: Floats

    @classmethod
    def of(cls, by: Column, label_N: Ints) -> "Groups":
        """The groups of the rows; a missing value is a group too."""
        _, code_N = np.unique(by.coded[1], return_inverse=True)
        count_G = np.bincount(code_N).astype(float)
        return cls(code_N, count_G, np.bincount(code_N, label_N).astype(float))

    @property
    def share_G(self) -> Floats:
        """The positive share of each group."""
        return self.positive_G / self.count_G

    def first(self, value_N: Floats) -> Floats:
        """A value of each group: its first row's."""
        return value_N[np.unique(self.code_N, return_index=True)[1]]


def groupings(table: Audited) -> list[Column]:
    """What may name groups: entities, then columns of texts, then numbers, whose values repeat."""
    order = [*table.entities, *sorted(table.columns, key=lambda one: one.number)]
    rows = len(table.label_N)
    fits = [one for one in order if 2 <= len(one.coded[0]) <= rows / 2 and (one.whole or not one.number)]
    return fits[:MOST]


def statistics(table: Audited, level: float) -> Iterator[Finding]:
    """Columns that are a statistic of their group's labels, each row's own included."""
    names = [one.name for one in groupings(table.sample(LIMIT))]
    each = level / max(len(names) * len(table.columns), 1)
    for name in names:
        likely = _likely(table.groups(table.column(name), QUICK), name)
        some = table.groups(table.column(name), LIMIT) if likely else table
        parts = [some, *_training(some)] if likely else []
        for column in likely:
            yield from _of_column(parts, name, column, each)


def _likely(table: Audited, by_name: str) -> list[str]:
    """The numbers that, on few rows, are constant in the groups or tell the label inside them."""
    groups = Groups.of(table.column(by_name), table.label_N)
    first_G = np.unique(groups.code_N, return_index=True)[1]
    found = []
    for column in table.columns:
        if column.name == by_name or not column.number or column.missing_N.all():
            continue
        value_N = np.where(column.missing_N, np.nanmean(column.value_N), column.value_N)
        constant = np.mean((value_N == value_N[first_G[groups.code_N]]) | column.missing_N)
        if constant >= 0.99 or _inside(groups, value_N, table.label_N):
            found.append(column.name)
    return found


def encodings(table: Audited, level: float) -> Iterator[Finding]:
    """Columns of many values of which each has rows of one class only: two rows with one value share their label."""
    many = [one for one in table.columns if len(one.coded[0]) >= 50]
    for column in many:
        order = np.argsort(column.coded[1], kind="stable")
        order = order[column.coded[1][order] >= 0]
        code_N, label_N = column.coded[1][order], table.label_N[order]
        start = np.flatnonzero(np.append(True, np.diff(code_N) > 0))
        pair = start[np.append(np.diff(start), len(code_N) - start[-1:]) >= 2]
        same, prior = int((label_N[pair] == label_N[pair + 1]).sum()), float(label_N.mean())
        chance = prior**2 + (1 - prior) ** 2
        ceiling = chance + PAIRS * (1 - chance)
        if len(pair) and stats.binom.sf(same - 1, len(pair), ceiling) <= level / len(many):
            text = f"of {len(pair):,} values with several rows, {same:,} have one class ({chance:.0%} would by chance)"
            remedy = (
                f"Drop it, or show that its values are given before the outcome (leakcheck.accept=[{column.name}])."
            )
            yield Finding("values encode the label", column.name, text, remedy)


def _training(table: Audited) -> list[Audited]:
    """The rows of the largest part, where parts are declared: statistics are often made of these alone."""
    if table.part is None:
        return []
    part_N = table.part.coded[1]
    rows = np.flatnonzero(part_N == np.bincount(part_N[part_N >= 0]).argmax())
    return [table.take(rows)]


def _of_column(parts: list[Audited], by_name: str, name: str, level: float) -> Iterator[Finding]:
    for whole in parts:
        missing_N = whole.column(name).missing_N
        table = whole.take(np.flatnonzero(~missing_N)) if missing_N.any() else whole
        groups, value_N = Groups.of(table.column(by_name), table.label_N), table.column(name).value_N
        constant_N = value_N == groups.first(value_N)[groups.code_N]
        if constant_N.mean() >= 0.999:
            words = _exact(groups, groups.first(value_N)) or _beyond_ceiling(groups, groups.first(value_N), level)
        else:
            words = _inside(groups, value_N, table.label_N)
        if words:
            text = f"by {by_name}: {words}"
            yield Finding("label statistic with the row itself", name, text, OUT_OF_FOLD)
            return


def _exact(groups: Groups, value_G: Floats) -> str:
    """Which statistic of the labels the value of every group equals."""
    count_G, positive_G, share_G = groups.count_G, groups.positive_G, groups.share_G
    if len(np.unique(value_G)) < 2 or len(np.unique(share_G)) < 2:
        return ""
    prior = positive_G.sum() / count_G.sum()
    known = {"the positive share": share_G, "the number of positives": positive_G}
    odds = (positive_G + 0.5) / (count_G - positive_G + 0.5)
    known |= {"the log-odds": np.log(odds), "minus the positive share": -share_G, "the negative share": 1 - share_G}
    for words, stat_G in known.items():
        few = words == "the number of positives" and len(np.unique(stat_G)) < 5
        if not few and equal(value_G, stat_G):
            return f"equals {words} in {len(value_G):,} groups"
    off = np.abs(value_G - prior) > 1e-9
    weight_G = (positive_G[off] - value_G[off] * count_G[off]) / (value_G[off] - prior)
    if len(weight_G) >= 3 and len(np.unique(count_G[off])) > 1 and (weight := float(np.median(weight_G))) > 0:
        smooth_G = (positive_G + weight * prior) / (count_G + weight)
        if equal(value_G, smooth_G):
            return f"equals the positive share, smoothed by {weight:.4g} rows, in {len(value_G):,} groups"
    for words, stat_G in (("the positive share", share_G), ("the log-odds", np.log(odds))):
        if len(np.unique(share_G)) >= 4 and np.corrcoef(value_G, stat_G)[0, 1] ** 2 >= 1 - 1e-9:
            return f"is a straight line of {words} in {len(value_G):,} groups"
    return ""


def equal(value: Floats, other: Floats) -> bool:
    """Whether 99 % are equal, to the last digit that the values keep; needs digits enough to tell them apart."""
    spread = float(np.ptp(other))
    places = next((p for p in range(3, 9) if np.all(np.abs(value * 10**p - np.rint(value * 10**p)) < 1e-4)), 12)
    near = max(0.500001 * 10.0**-places, 1e-12 * float(np.abs(other).max()))
    return spread >= 20 * near and float(np.mean(np.abs(value - other) <= near)) >= 0.99


def _beyond_ceiling(groups: Groups, value_G: Floats, level: float) -> str:
    """Whether the value knows the chance in the groups' shares, tested by a jackknife over blocks of groups."""
    some = groups.count_G >= 2
    if some.sum() < LEAST_GROUPS:
        return ""
    value, share, count = value_G[some], groups.share_G[some], groups.count_G[some]
    value, share = value - value.mean(), share - share.mean()
    noise = groups.share_G[some] * (1 - groups.share_G[some]) / (count - 1)
    sums = np.stack([np.ones(len(value)), value, share, value**2, share**2, value * share, noise])
    block = np.random.default_rng(SEED).permutation(len(value)) % BLOCKS
    by_block = np.stack([np.bincount(block, one, minlength=BLOCKS) for one in sums])
    total, reliability, squared = _excess(by_block.sum(1))
    if not np.isfinite(total):
        return ""
    left = _excess(by_block.sum(1, keepdims=True) - by_block)[0]
    error = np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((left - left.mean()) ** 2))
    if total > CEILING and stats.t.sf(total / max(error, 1e-12), BLOCKS - 1) <= level:
        return (
            f"squared correlation {squared:.2f} with the positive share of {len(value):,} groups, of which only"
            f" {max(reliability, 0):.2f} is no chance"
        )
    return ""


def _excess(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared correlation minus reliability, and both, from the running sums."""
    count, value, share, value2, share2, product, noise = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        var_value, var_share = value2 / count - (value / count) ** 2, share2 / count - (share / count) ** 2
        squared = (product / count - value * share / count**2) ** 2 / (var_value * var_share)
        reliability = 1 - noise / count / var_share
    return squared - reliability, reliability, squared


def _inside(groups: Groups, value_N: Floats, label_N: Ints) -> str:
    """Whether inside every group the value tells the label without error, as a share without the own row does."""
    mean_G = np.bincount(groups.code_N, value_N) / groups.count_G
    mixed_G = (groups.positive_G > 0) & (groups.positive_G < groups.count_G)
    rows = mixed_G[groups.code_N]
    label, rest_N = label_N[rows], np.round((value_N - mean_G[groups.code_N])[rows], 12)
    if min(label.sum(), len(label) - label.sum()) < 30 or abs((area := auc(rest_N, label)) - 0.5) < 0.499:
        return ""
    alone = abs(auc(value_N, label_N) - 0.5) > 0.45  # without any group: `determined` looks at that
    return "" if alone else f"inside a group it orders the classes with AUC {area:.4f}"
