"""The label ledger: who said when that an event was positive, for every time at which somebody asks.

One Delta table per data set, append only. Columns: the id, label (int8, 1 = positive), scenario (string or null),
source (who said it), channel ("source" = seeded at ingest, "feedback" = told to the endpoint), event_time, known_time,
recorded_at. Of several rows for one id the one with the greatest (known_time, recorded_at) that was known counts.
"""

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.store import Store
from workbench.data.tables import Table

TIME = pa.timestamp("us", "UTC")


def ledger(store: Store, raw_key: str) -> Table:
    """The ledger of the data set that was ingested under this key."""
    return Table(store, f"labels/{raw_key}")


def rows(
    id_column: str,
    ids: pa.Array,
    labels: pa.Array,
    event_time: pa.Array,
    known_time: pa.Array,
    *,
    source: str,
    channel: str,
    scenario: pa.Array | None = None,
    recorded_at: dt.datetime,
) -> pa.Table:
    """Ledger rows in the ledger's own types."""
    count = len(ids)
    return pa.table(
        {
            id_column: ids,
            "label": labels.cast(pa.int8()),
            "scenario": pa.nulls(count, pa.string()) if scenario is None else scenario.cast(pa.string()),
            "source": pa.repeat(pa.scalar(source), count),
            "channel": pa.repeat(pa.scalar(channel), count),
            "event_time": event_time.cast(TIME),
            "known_time": known_time.cast(TIME),
            "recorded_at": pa.repeat(pa.scalar(recorded_at, TIME), count),
        }
    )


def read(
    store: Store,
    raw_key: str,
    known_at: dt.datetime | None = None,
    channel: str | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """All ledger rows (the history of corrections included) that were known by `known_at` (None: whenever)."""
    chosen: pc.Expression | None = None
    if known_at is not None:
        chosen = pc.field("known_time") <= pa.scalar(known_at, TIME)
    if channel is not None:
        said = pc.field("channel") == channel
        chosen = said if chosen is None else chosen & said
    return ledger(store, raw_key).read(columns, chosen)


def newest(history: pa.Table, id_column: str) -> pa.Table:
    """One row per id: what is known of it last."""
    if history.num_rows == 0:
        return history
    keys = [(id_column, "ascending"), ("known_time", "ascending"), ("recorded_at", "ascending")]
    by_id = history.sort_by(keys)
    ids = by_id[id_column].combine_chunks()
    last = pa.concat_arrays([pc.not_equal(ids[1:], ids[:-1]), pa.array([True])])
    return by_id.filter(last)
