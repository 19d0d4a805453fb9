"""The prediction log: every acknowledged decision, as a Delta table, with what it was made from.

Beside it lie the corrections that the endpoint was told: what was known later of the events that it was asked.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from numpy.typing import NDArray

from workbench.config import DataConfig
from workbench.data import labels
from workbench.data.casting import ARROW_TYPES
from workbench.data.store import Store
from workbench.data.tables import Table

TIME = pa.timestamp("us", "UTC")
PREDICTIONS = pa.schema(
    [
        ("request_id", pa.string()),
        ("id", pa.string()),  # of the event
        ("event_time", pa.int64()),  # us in the journal, a timestamp in the table
        ("received_at", pa.int64()),
        ("arrival", pa.int64()),  # its event's number in the order in which the feature state took events in
        ("as_of", pa.int64()),  # the number of the newest event that its features could see
        ("entities", pa.list_(pa.string())),  # keyed tokens, in the order of the data set's entities
        ("event", pa.string()),  # the event as JSON, entities as tokens
        ("features", pa.list_(pa.float64())),
        ("score", pa.float64()),
        ("member_logits", pa.list_(pa.float64())),
        ("flagged", pa.bool_()),
        ("model_version", pa.string()),
        ("feature_view_version", pa.string()),
        ("history", pa.string()),  # what the feature state began with (`history_name`); null: not said
        ("dimensions", pa.string()),  # JSON: the snapshot of each table that features were looked up in; null: not said
        ("latency_us", pa.int64()),
        ("alias", pa.string()),  # who decided, canary | champion, where both scored; null, as all below: one alone did
        ("scored_us", pa.int64()),  # that its score took
        ("other_version", pa.string()),  # the version that did not decide, its score, decision and time
        ("other_score", pa.float64()),
        ("other_flagged", pa.bool_()),
        ("other_us", pa.int64()),
        ("other_fault", pa.string()),  # why it has no score
    ]
)
SHADOWS = pa.schema(
    [
        ("request_id", pa.string()),  # of the decision that it stands beside
        ("id", pa.string()),
        ("event_time", pa.int64()),
        ("recorded_at", pa.int64()),
        ("version", pa.string()),
        ("score", pa.float64()),  # null: it had none
        ("flagged", pa.bool_()),
        ("scored_us", pa.int64()),  # its share of the time of the rows that were scored together
    ]
)
FEEDBACK = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.int8()),
        ("scenario", pa.string()),
        ("event_time", pa.int64()),
        ("known_time", pa.int64()),
        ("recorded_at", pa.int64()),
    ]
)
CORRECTIONS = pa.schema(
    [
        ("id", pa.string()),
        ("event", pa.string()),  # the version as JSON, entities as tokens; null: the event is deleted
        ("known_time", pa.int64()),
        ("recorded_at", pa.int64()),
        ("position", pa.int64()),  # in its call
        ("in_state", pa.bool_()),  # whether the event was remembered when this was told; else it changes nothing
    ]
)


def log_name(application: str, raw_key: str) -> str:
    """The name of an application's log: one per data set, whose events must not meet another's in a feature state."""
    return f"{application}-{raw_key}"


def predictions(store: Store, name: str) -> Table:
    """The prediction log of that name."""
    return Table(store, f"predictions/{name}")


def history_name(validated_key: str, until_us: int | None) -> str:
    """What a feature state began with: the events of a snapshot before that time; None: none of them."""
    return f"{validated_key} {until_us}"


def in_turn(rows: pa.Table) -> tuple[pa.Table, NDArray[np.int64]]:
    """The answers by id, and of each which one to its event it is, from 0: a request may be repeated."""
    rows = rows.sort_by([(name, "ascending") for name in ("id", "as_of", "received_at")])
    ids = rows["id"].to_numpy(zero_copy_only=False)
    first = np.append(True, ids[1:] != ids[:-1])[: len(ids)]
    place = np.arange(len(ids))
    return rows, place - np.maximum.accumulate(np.where(first, place, 0))


def first_answers(rows: pa.Table) -> pa.Table:
    """The first answer to each event, by id."""
    rows, turn = in_turn(rows)
    return rows.filter(pa.array(turn == 0))


def features(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """The features that decisions were made from, a column each, and `score`: what a reference profile describes."""
    flat_NF = np.array(rows["features"].to_pylist(), np.float64).reshape(rows.num_rows, len(names))
    return pa.table([*flat_NF.T, rows["score"]], [*names, "score"])


def move_predictions(store: Store, name: str, segment: Path) -> int:
    """Move a closed journal segment into the table, once, and remove it; returns the number of records."""
    rows = _parse(segment, PREDICTIONS)
    predictions(store, name).append(rows, app_id=segment.stem, version=1, widen=True)
    segment.unlink()
    return rows.num_rows


def shadows(store: Store, name: str) -> Table:
    """What shadows made of the events of the prediction log of that name."""
    return Table(store, f"shadows/{name}")


def move_shadows(store: Store, name: str, segment: Path) -> int:
    """Move a closed segment of shadows' scores into their table, once, and remove it."""
    rows = _parse(segment, SHADOWS)
    shadows(store, name).append(rows, app_id=segment.stem, version=1)
    segment.unlink()
    return rows.num_rows


def corrections(store: Store, name: str) -> Table:
    """The corrections beside the prediction log of that name."""
    return Table(store, f"corrections/{name}")


def told_corrections(store: Store, name: str, data: DataConfig) -> pa.Table:
    """What changed a feature state: id, event and known time, ascending by it, of one time in the order of telling."""
    table = corrections(store, name)
    told = table.read(rows=pc.field("in_state")) if table.exists() else CORRECTIONS.empty_table()
    told = told.sort_by([(one, "ascending") for one in ("known_time", "recorded_at", "position")])
    ids, known = told["id"].cast(ARROW_TYPES[data.columns[data.id].type]), told["known_time"].cast(TIME)
    return pa.table({"id": ids, "event": told["event"], "known_time": known})


def move_corrections(store: Store, name: str, segment: Path) -> int:
    """Move a closed segment of corrections into their table, once, and remove it."""
    rows = _parse(segment, CORRECTIONS)
    corrections(store, name).append(rows, app_id=segment.stem, version=1)
    segment.unlink()
    return rows.num_rows


def move_feedback(store: Store, raw_key: str, id_column: str, id_type: pa.DataType, segment: Path) -> int:
    """Move a closed segment of labels into the label ledger, once, and remove it."""
    told = _parse(segment, FEEDBACK)
    rows = pa.table(
        {
            id_column: told["id"].cast(id_type),
            "label": told["label"],
            "scenario": told["scenario"],
            "source": pa.repeat(pa.scalar("endpoint"), told.num_rows),
            "channel": pa.repeat(pa.scalar("feedback"), told.num_rows),
            "event_time": told["event_time"],
            "known_time": told["known_time"],
            "recorded_at": told["recorded_at"],
        }
    )
    labels.ledger(store, raw_key).append(rows, app_id=segment.stem, version=1)
    segment.unlink()
    return rows.num_rows


def now_us() -> int:
    """The wall clock in microseconds since 1970."""
    return int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)


def _parse(segment: Path, schema: pa.Schema) -> pa.Table:
    """The records of a segment, typed; times become timestamps."""
    options = pyarrow.json.ParseOptions(explicit_schema=schema)
    rows = pyarrow.json.read_json(segment, pyarrow.json.ReadOptions(use_threads=False), options).select(schema.names)
    for name in ("event_time", "received_at", "known_time", "recorded_at"):
        if name in rows.column_names:
            rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(TIME))
    return rows
