"""Rows that are versions of one fact: the same id, later known times, and perhaps one that says that it is deleted.

A data set whose config has `versions` may name an id several times. Each version is known from its known time until
the next one's, and id and known time together name a row. The first version that is known is the event that was asked:
it alone has features, label and part; the others are what is known of it later. See `features/versions.py`.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ColumnConfig, DataConfig

Mask = NDArray[np.bool_]
GONE = "__gone"


@dataclass(frozen=True)
class Versions:
    """Which columns say whose version a row is, and which value says that the fact is deleted."""

    id: str
    known_time: str
    operation: str | None = None
    deleted: str | None = None

    @classmethod
    def of(cls, data: DataConfig) -> "Versions | None":
        """What a data set declares; None where every id occurs once."""
        if data.versions is None:
            return None
        return cls(data.id, str(data.known_time), data.versions.operation, data.versions.deleted)

    @property
    def keys(self) -> tuple[str, str]:
        """The columns that together name a row, and without which even a deletion says nothing."""
        return self.id, self.known_time

    def gone(self, rows: pa.Table) -> Mask:
        """[N] which rows are deletions."""
        if self.operation is None:
            return np.zeros(rows.num_rows, bool)
        says = pc.equal(rows[self.operation].cast(pa.string()), str(self.deleted))
        return pc.fill_null(says, False).to_numpy()

    def first(self, rows: pa.Table) -> Mask:
        """[N] which rows are their id's first version; `rows` must hold all versions of each id that occurs."""
        ids, known = rows[self.id].to_numpy(), rows[self.known_time].cast(pa.int64()).to_numpy()
        order = np.lexsort((np.arange(len(ids)), known, ids))
        found = np.ones(len(ids), bool)
        found[order[1:][ids[order][1:] == ids[order][:-1]]] = False
        return found

    def events(self, rows: pa.Table) -> pa.Table:
        """The rows that were asked: first versions, unless they are deletions already."""
        return rows.filter(pa.array(self.first(rows) & ~self.gone(rows)))

    def later(self, rows: pa.Table) -> pa.Table:
        """All other versions, ascending by known time."""
        others = rows.filter(pa.array(~self.first(rows)))
        return others.take(pa.array(np.argsort(others[self.known_time].cast(pa.int64()).to_numpy(), kind="stable")))

    def counts(self, rows: pa.Table) -> dict[str, int]:
        """How many events, corrections and deletions the rows are; they add up to the rows."""
        gone, first = self.gone(rows), self.first(rows)
        events, deletions = int((first & ~gone).sum()), int(gone.sum())
        return {"events": events, "corrections": len(gone) - events - deletions, "deletions": deletions}

    def marked(self, rows: pa.Table) -> pa.Table:
        """The rows with a column `GONE`."""
        return rows.append_column(GONE, pa.array(self.gone(rows)))


def asked_columns(data: DataConfig) -> dict[str, ColumnConfig]:
    """The columns of an event when it is asked: all but the one that says what became of it."""
    operation = data.versions.operation if data.versions else None
    return {name: column for name, column in data.columns.items() if name != operation}
