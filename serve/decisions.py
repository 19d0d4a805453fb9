"""What was decided on an event, found again in the journal or the table, with the label that was told since."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serve import journal
from serve.answered import answer_of, first
from serve.service import Service
from workbench.data import labels
from workbench.feedback import prediction_log

SAID = ("received_at", "event_time", "id", "score", "member_logits", "flagged", "latency_us", "as_of")
COLUMNS = ["request_id", "model_version", "feature_view_version", *SAID]
TOLD = ("label", "scenario", "known_time", "recorded_at")


def find(service: Service, name: str) -> dict[str, Any] | None:
    """The first decision on the event of that id, or else the one that was answered under that request id.

    Neither the event nor its entities are shown. This reads files.
    """
    found = _records(service, name)
    chosen = [one for one in found if one["id"] == name] or [one for one in found if one["request_id"] == name]
    if (record := first(chosen)) is None:
        return None
    times = {at: _time(record[at]) for at in ("event_time", "received_at")}
    return {
        "id": record["id"],
        **answer_of(record),
        "member_logits": record["member_logits"],
        **times,
        "latency_us": record["latency_us"],
        "label": _label(service, record["id"]),
    }


def _records(service: Service, name: str) -> list[dict[str, Any]]:
    """The table's first, then those that are not moved yet."""
    waiting = list(journal.records(service.settings.folder, "predictions", name))  # one is moved, then removed
    table = prediction_log.predictions(service.store, service.settings.log)
    chosen = (pc.field("id") == name) | (pc.field("request_id") == name)
    moved = table.read(COLUMNS, chosen).to_pylist() if table.exists() else []
    return [*moved, *waiting]


def _label(service: Service, identity: str) -> dict[str, Any] | None:
    """The newest label that the endpoint was told of an event."""
    settings = service.settings
    told = [one for one in journal.records(settings.folder, "feedback", identity) if one["id"] == identity]
    ledger, known_as = labels.ledger(service.store, settings.raw_key), pc.field(settings.data.id)
    if ledger.exists():
        kind = pa.int64() if settings.data.columns[settings.data.id].type == "integer" else pa.string()
        chosen = (pc.field("channel") == "feedback") & (known_as == pa.scalar(identity, pa.string()).cast(kind))
        told += ledger.read(list(TOLD), chosen).to_pylist()
    moments = [
        {**one, "known_time": _time(one["known_time"]), "recorded_at": _time(one["recorded_at"])} for one in told
    ]
    newest = max(moments, key=lambda one: (one["known_time"], one["recorded_at"]), default=None)
    return None if newest is None else {name: newest[name] for name in TOLD}


def _time(moment: int | dt.datetime) -> str:
    """A time of a journal (us) or of a table, as RFC 3339 with microseconds."""
    if isinstance(moment, int):
        moment = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=moment)
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
