"""Events that were corrected or deleted: each version is a fact of its own, known from its time until the next one's.

A version of an event has the event's id and a later known time; a deletion is a version that says so. The first version
is the one that asked: it gets the features. Of versions with one known time the later row counts.
"""

import numpy as np
import pyarrow as pa

from workbench.features.definitions import FeatureSet
from workbench.features.labels import NEVER_US

UNTIL, ASKS = "__until", "__asks"


def resolved(feature_set: FeatureSet, events: pa.Table, deleted: str | None = None) -> pa.Table:
    """The versions with `UNTIL` (us since 1970) and `ASKS`; deletions are left out once they have ended a version.

    `events` must hold every version of each id that occurs in it. `deleted` is a boolean column, or none.
    """
    ids = events[feature_set.id].to_numpy()
    known = events[feature_set.known_time].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    order = np.lexsort((np.arange(len(ids)), known, ids))
    same = ids[order][1:] == ids[order][:-1]
    until, asks = np.full(len(ids), NEVER_US), np.ones(len(ids), bool)
    until[order[:-1][same]] = known[order[1:][same]]
    asks[order[1:][same]] = False
    table = events.append_column(UNTIL, pa.array(until)).append_column(ASKS, pa.array(asks))
    if deleted is None:
        return table
    return table.filter(pa.array(~events[deleted].fill_null(False).to_numpy(zero_copy_only=False)))
