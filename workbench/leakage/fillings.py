"""Gaps of a number that were filled by class: with a class's mean, or with values that are unlike all their neighbours.

Shapes: N rows, V distinct values of a column.
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from workbench.leakage import suspect
from workbench.leakage.suspect import Suspect
from workbench.leakage.table import Audited, Column, Floats, Ints


def fillings(table: Audited, column: Column, pure: Ints, count_V: Ints, level: float) -> Iterator[Suspect]:
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
        words = f"{column.text(distinct_V[code])}, exactly the mean of its class, in"
        yield suspect.of_rows("gaps filled by class", column, words, code_N == code, table, certain=True)
    least = max(30, 10 * np.median(count_V), np.sort(count_V)[-3])
    often = [code for code in pure if count_V[code] >= least and code not in exact]
    odd = [code for code in often if _unlike_neighbours(table, code_N, int(code), level / len(often))]
    classes = {bool(table.label_N[code_N == code].mean() > 0.5) for code in often}
    for code in odd:
        if len(classes) == 2 or code in (0, len(distinct_V) - 1):
            words = f"{column.text(distinct_V[code])} in"
            yield suspect.of_rows("gaps filled by class", column, words, code_N == code, table, certain=False)


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
