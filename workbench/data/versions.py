"""Rows that are versions of one fact: the same id, later known times, and perhaps one that says that it is deleted.

A data set whose config has `versions` may name an id several times. Each version is known from its known time until
the next one's, and id and known time together name a row. The first version that is known is the event that was asked:
it alone has features, label and part; the others are what is known of it later. A deletion of what was not there says
nothing. See `features/versions.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ColumnConfig, DataConfig
from workbench.data import snapshots
from workbench.data.store import Artifact

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

    def told(self, rows: pa.Table) -> tuple[Mask, Mask]:
        """[N] which rows are events, and which say something of an event before them (or at once, further up).

        `rows` must hold all versions of each id that occurs.
        """
        ids, known = rows[self.id].to_numpy(), rows[self.known_time].cast(pa.int64()).to_numpy()
        order = np.lexsort((np.arange(len(ids)), known, ids))
        lives = (~self.gone(rows)[order]).astype(np.int64)
        begins = np.append(True, ids[order][1:] != ids[order][:-1])[: len(ids)]
        before = np.cumsum(lives) - lives
        before -= np.maximum.accumulate(np.where(begins, before, 0))
        event, later = np.empty(len(ids), bool), np.empty(len(ids), bool)
        event[order], later[order] = (before == 0) & (lives == 1), before > 0
        return event, later

    def events(self, rows: pa.Table) -> pa.Table:
        """The rows that were asked."""
        return rows.filter(pa.array(self.told(rows)[0]))

    def later(self, rows: pa.Table) -> pa.Table:
        """What is said of the events later, ascending by known time."""
        later = rows.filter(pa.array(self.told(rows)[1]))
        return later.take(pa.array(np.argsort(later[self.known_time].cast(pa.int64()).to_numpy(), kind="stable")))

    def corrections(self, rows: pa.Table) -> Iterator[tuple[Any, dict[str, Any] | None, int]]:
        """The same one by one: id, the version (None: deleted), known time; times in us since 1970."""
        later = self.later(rows)
        gone = self.gone(later).tolist()
        for name in (one.name for one in later.schema if pa.types.is_timestamp(one.type)):
            later = later.set_column(later.schema.get_field_index(name), name, later[name].cast(pa.int64()))
        for row, deleted in zip(later.to_pylist(), gone, strict=True):
            yield row[self.id], None if deleted else row, row[self.known_time]

    def counts(self, rows: pa.Table) -> dict[str, int]:
        """How many events, corrections and deletions the rows are; they add up to the rows."""
        events, deletions = int(self.told(rows)[0].sum()), int(self.gone(rows).sum())
        return {"events": events, "corrections": rows.num_rows - events - deletions, "deletions": deletions}

    def marked(self, rows: pa.Table) -> pa.Table:
        """The rows with a column `GONE`, without deletions of what was not there."""
        event, later = self.told(rows)
        return rows.append_column(GONE, pa.array(self.gone(rows))).filter(pa.array(event | later))

    def read(self, validated: Artifact, asked: pc.Expression) -> pa.Table:
        """All versions of the events that met a condition when they were asked."""
        some = snapshots.read(validated, [self.id], asked)[self.id].unique()
        rows = snapshots.read(validated, rows=pc.field(self.id).isin(some))
        events = self.events(rows).filter(asked)[self.id].combine_chunks()
        return rows.filter(pc.is_in(rows[self.id], value_set=events))


def asked_columns(data: DataConfig) -> dict[str, ColumnConfig]:
    """The columns of an event when it is asked: all but the one that says what became of it."""
    operation = data.versions.operation if data.versions else None
    return {name: column for name, column in data.columns.items() if name != operation}
