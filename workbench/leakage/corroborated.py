"""Whether all other columns together tell what a suspect tells: if so, it is a strong column and no leak.

Shapes: N rows, F columns.
"""

import numpy as np

from workbench.leakage.findings import Finding
from workbench.leakage.solo import Solo
from workbench.leakage.suspect import Suspect
from workbench.leakage.table import SEED, Audited, Ints

CORROBORATED = 0.75  # share of what it tells that the other columns tell too
REST_ROWS = 20_000  # rows on which the other columns are asked


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
