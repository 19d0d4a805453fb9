"""Names of rows that tell the label: their order in the file, and numbers that name them."""

from collections.abc import Iterator

import numpy as np

from workbench.leakage.findings import Finding
from workbench.leakage.solo import solo, views
from workbench.leakage.table import Audited, Column

SORTED = 0.75  # explained share beyond which the file is sorted by its label; a stream that drifts stays far below
NAMED = 0.25  # the same of an id: it may drift with time, but has no other business with the label
SHUFFLE = "Shuffle the rows before they are split, or split by time."
DROP_ID = "Keep it out of the model, and number the rows without a look at the label."


def orders(table: Audited, level: float) -> Iterator[Finding]:
    """The row number and the ids whose order, ranges or digits tell the label."""
    row = Column("(row order)", table.row_N.astype(float), whole=True)
    ids = [*table.ids, *(one for one in table.columns if is_id(one))]
    for column, share, remedy in [(row, SORTED, SHUFFLE), *((one, NAMED, DROP_ID) for one in ids)]:
        found = {words: solo(bin_N, table.label_N) for words, bin_N in views(column)}
        for words, told in sorted(found.items(), key=lambda item: -item[1].share)[:1]:
            if told.p_above(share) <= level / (1 + len(ids)) / len(found):
                text = f"{words.replace('its value', 'its place')} explains {told.share:.1%} of the label"
                yield Finding("order tells the label", column.name, text, remedy)


def is_id(column: Column) -> bool:
    """Whether a column names the rows: no value is missing or occurs twice, and numbers are whole."""
    if column.missing_N.any() or not (column.whole or column.categories is not None):
        return False
    return len(column.coded[0]) == len(column.value_N) and bool(np.all(column.coded[1] >= 0))
