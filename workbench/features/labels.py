"""From the rows of the label ledger to the times between which each event was known to be positive."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NEVER_US = 2**62  # later than any event: the label was not taken back


@dataclass(frozen=True)
class PositiveIntervals:
    """L intervals [since, until) of known time, in us, in which an event's newest known label was positive."""

    ids: NDArray[np.int64]  # [L]
    since_us: NDArray[np.int64]  # [L]
    until_us: NDArray[np.int64]  # [L]

    @classmethod
    def of(cls, labels: pa.Table, id_column: str) -> "PositiveIntervals":
        """The intervals of ledger rows: at each time the row with the greatest (known_time, recorded_at) counts."""
        keys = [(id_column, "ascending"), ("known_time", "ascending"), ("recorded_at", "ascending")]
        ledger = labels.select([id_column, "label", "known_time", "recorded_at"]).sort_by(keys)
        ids = ledger[id_column].to_numpy()
        known = ledger["known_time"].cast(pa.int64()).to_numpy()
        positive = ledger["label"].to_numpy() == 1
        last = np.append(ids[1:] != ids[:-1], True)[: len(ids)]
        until = np.where(last, NEVER_US, np.append(known[1:], NEVER_US)[: len(known)])
        return cls(ids[positive], known[positive], until[positive])
