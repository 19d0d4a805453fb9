"""Which rows keep their features when rows came or went or labels changed, which are computed, and what is read.

A fact is seen by no row before its event time, nor before it is known. So whatever is other than it was can be seen by
no row before one instant: all rows before it keep their features and labels. Computed are the rows from that instant
on, and rows that came with an earlier time but are known later. They see what lies at most the features' horizon before
them, for every window is bounded: that, and no more, is read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.features.definitions import FeatureSet
from workbench.features.labels import NEVER_US
from workbench.features.timeline import micros

SAID = ("label", "known_time", "event_time")  # what counts of a row of the label ledger, besides its id
NOTHING = "nothing changed"
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """Between rows that keep their features and rows that are computed. Times in us since 1970."""

    id: str
    event_time: str
    since_us: int  # rows from here on are computed: they may see something that is other than it was
    read_us: int  # rows and labels from here on are read
    late: pa.Array  # ids of rows that came with an earlier time, and are known later: computed as well
    why: str  # what is the first to be seen

    @classmethod
    def of(cls, features: FeatureSet, came: pa.Table, gone: pa.Table, before: pa.Table, now: pa.Table) -> "Cut":
        """The cut for the rows that came or are gone, and for the label ledger as it was and as it is now."""
        time, known = micros(came[features.event_time]), micros(came[features.known_time])
        first = {
            "rows came": _first(np.maximum(time, known)),
            "rows are gone": _first(micros(gone[features.event_time])),
        }
        first["labels changed"] = _first(relabelled(before, now, features.id, came[features.id], min(first.values())))
        why, since = min(first.items(), key=lambda one: one[1])
        late = came[features.id].filter(pa.array(time < since)).combine_chunks()
        read = min(since, _first(time)) - features.horizon_us
        return cls(features.id, features.event_time, since, read, late, why if since < NEVER_US else NOTHING)

    def reads(self, rows: pa.Table) -> pa.Table:
        """Those of the rows that are computed or may be seen by such."""
        return rows.filter(pa.array(micros(rows[self.event_time]) >= self.read_us))

    def said(self, ledger: pa.Table) -> pa.Table:
        """The labels of these."""
        return ledger.filter(pa.array(micros(ledger["event_time"]) >= self.read_us))

    def computes(self, rows: pa.Table) -> pa.Table:
        """Those of the rows that are computed."""
        return rows.filter(
            pa.array((micros(rows[self.event_time]) >= self.since_us) | _among(rows[self.id], self.late))
        )

    def keeps(self, rows: pa.Table) -> pa.Table:
        """Those of the earlier rows that keep their features."""
        return rows.filter(pa.array(micros(rows[self.event_time]) < self.since_us))


def relabelled(before: pa.Table, now: pa.Table, id_column: str, came: pa.ChunkedArray, until_us: int) -> Ints:
    """Event times before `until_us` of what only one of two ledgers says, but not of rows that came."""
    columns, sides = [id_column, *SAID], []
    for ledger in (before, now):
        old = ledger.select(columns).filter(pa.array(micros(ledger["event_time"]) < until_us))
        sides.append(old.filter(pa.array(~_among(old[id_column], came))).sort_by(id_column))
    if sides[0].equals(sides[1]):
        return np.empty(0, np.int64)
    signs = pa.array(np.repeat([1, -1], [len(one) for one in sides]))
    both = pa.concat_tables(sides).append_column("sign", signs).group_by(columns, use_threads=False)
    summed = both.aggregate([("sign", "sum")])
    return micros(summed.filter(pc.not_equal(summed["sign_sum"], 0))["event_time"])


def _first(times: Ints) -> int:
    return int(times.min(initial=NEVER_US))


def _among(values: pa.ChunkedArray, some: Any) -> NDArray[np.bool_]:
    if not len(some):
        return np.zeros(len(values), bool)
    return pc.is_in(values, value_set=some).to_numpy(zero_copy_only=False)
