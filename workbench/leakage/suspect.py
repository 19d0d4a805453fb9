"""A column, value or gap that determines the label of some rows: a leak unless the other columns tell the same.

Shapes: N rows.
"""

from dataclasses import dataclass

from workbench.leakage.findings import Finding
from workbench.leakage.table import Audited, Column, Mask

DROP = "Drop it, or show that it is known before the outcome (then leakcheck.accept=[{}])."


@dataclass(frozen=True)
class Suspect:
    """A finding that is a leak unless the other columns tell the same (`certain`: whatever they tell)."""

    finding: Finding
    row_N: Mask  # the rows whose label it tells
    share: float  # how much of their label's entropy it explains
    certain: bool


def of_rows(check: str, column: Column, words: str, row_N: Mask, table: Audited, certain: bool) -> Suspect:
    """The suspicion that what `words` say of a column is of one class: how many rows, and how rare that class is."""
    inside = table.label_N[row_N]
    wanted = int(inside.mean() > 0.5)
    right, prior = int((inside == wanted).sum()), float((table.label_N == wanted).mean())
    text = f"{words} {len(inside):,} rows, {right:,} of them of class {wanted} ({prior:.1%} of all rows are)"
    return Suspect(Finding(check, column.name, text, DROP.format(column.name)), row_N, 1.0, certain)
