"""The as-of join under two clocks: for each row of one table the row of another that held, and was known, at its time.

A right row holds from its `valid_from` until its `valid_until` (a null: for ever), the latter excluded, and is known
from its `known_time` on. Of several that hold and are known the one with the greatest (valid_from, known_time,
position) counts; a correction is a later row with the same `valid_from`. A row whose key is null finds nothing.

Both sides are in this process; see `distributed_join.py` for snapshots of any size. Shapes: N left rows, M right rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features import intervals
from workbench.features.intervals import NOTHING
from workbench.features.labels import NEVER_US
from workbench.features.places import Places
from workbench.features.timeline import entity_codes, micros

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AsOf:
    """Which columns say what; keys have the same names on both sides."""

    on: tuple[str, ...]
    time: str  # of the left side
    valid_from: str
    valid_until: str | None = None
    known_time: str | None = None

    @property
    def clocks(self) -> tuple[str, ...]:
        """The columns of the right side that say when a row holds and is known."""
        return tuple(name for name in (self.valid_from, self.valid_until, self.known_time) if name)

    def join(self, left: pa.Table, right: pa.Table, columns: Sequence[str], prefix: str = "") -> pa.Table:
        """The left rows, in their order, with the chosen columns of the right rows that they find (else null)."""
        place = pa.array(self.places(left, right))
        found = pc.if_else(pc.greater_equal(place, 0), place, None)
        for name in columns:
            left = left.append_column(prefix + name, right[name].combine_chunks().take(found))
        return left

    def places(self, left: pa.Table, right: pa.Table) -> Ints:
        """[N] the position of the right row that each left row finds, -1 where there is none."""
        if not left.num_rows or not right.num_rows:
            return np.full(left.num_rows, -1)
        key_N, key_M = self._keys(left, right)
        time_N = micros(left[self.time])
        order = np.lexsort((time_N, key_N))
        rows = Places.of(key_N[order], time_N[order])
        since, until, rank_M, by_rank = self._spans(right)
        start, end = rows.first_at(key_M, since), rows.first_at(key_M, until)
        end = np.where(key_M < 0, start, end)
        best = intervals.greatest(start, end, rank_M, len(order))
        found = np.empty(len(order), np.int64)
        found[order] = np.where(best == NOTHING, -1, by_rank[np.maximum(best, 0)])
        return found

    def _keys(self, left: pa.Table, right: pa.Table) -> tuple[Ints, Ints]:
        """The keys of both sides as the same numbers, -1 for null."""
        names = list(self.on)
        both = pa.concat_tables([left.select(names), right.select(names).cast(left.select(names).schema)])
        code = entity_codes(both, self.on)
        return code[: left.num_rows], code[left.num_rows :]

    def _spans(self, right: pa.Table) -> tuple[Ints, Ints, Ints, Ints]:
        """Of each right row since when and until when it is found and its rank; and the rows in the order of rank."""
        since = micros(right[self.valid_from])
        known = since if self.known_time is None else micros(right[self.known_time])
        until = np.full(len(since), NEVER_US)
        if self.valid_until is not None:
            until = pc.fill_null(_micros(right[self.valid_until]), NEVER_US).to_numpy()
        by_rank = np.lexsort((np.arange(len(since)), known, since))
        rank = np.empty(len(since), np.int64)
        rank[by_rank] = np.arange(len(since))
        return np.maximum(since, known), until, rank, by_rank


def _micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
