"""Columns that were made from the labels, or from later rows, of the group that a row belongs to.

A group is what shares a value of an entity or of any column that repeats. Statistics of a group are recognised by their
values, or by what they know of chance (`label_statistic`); what differs inside a group, by the order that it gives.

Shapes: N rows.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from workbench.leakage import label_statistic
from workbench.leakage.findings import Finding
from workbench.leakage.grouped import Groups
from workbench.leakage.solo import auc
from workbench.leakage.table import Audited, Column, Floats, Ints

LIMIT = 200_000  # rows of whole groups that are looked at
MOST = 64  # groupings that are tried: entities, then categories, then numbers that repeat
PAIRS = 0.9  # correlation of the labels of two rows with one value, beyond which the value encodes them
QUICK = 4_000  # rows on which a column is looked at first
OUT_OF_FOLD = "Compute it without the row itself and from earlier labels only (known_positive_rate does)."


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
            words = label_statistic.named(groups, groups.first(value_N), level)
        else:
            words = _inside(groups, value_N, table.label_N)
        if words:
            text = f"by {by_name}: {words}"
            yield Finding("label statistic with the row itself", name, text, OUT_OF_FOLD)
            return


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
