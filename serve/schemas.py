"""Requests as strict types, made from the data set's YAML: payments takes a transaction, credit an application.

Wrong types, unknown fields, nulls, values out of range and NaN are refused before anything is computed; what was sent
is never repeated in an answer.
"""

import datetime as dt
import math
from typing import Annotated, Any, Literal

import msgspec

from workbench.config import ColumnConfig, DataConfig
from workbench.data.contracts import LONGEST_TEXT, is_text
from workbench.data.versions import asked_columns

MICROSECONDS = 1_000_000
PER_CALL = 1000  # events, labels, or corrections
INT64 = {"ge": -(2**63), "le": 2**63 - 1}  # what a table's column holds
FLOAT32 = {"ge": -3.4e38, "le": 3.4e38}  # what a model's input holds


def event_type(data: DataConfig) -> type[msgspec.Struct]:
    """The body of a scoring request."""
    return msgspec.defstruct("Event", _fields(data), forbid_unknown_fields=True, kw_only=True, gc=False)


def batch_type(event: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The body of a batch request: up to a thousand events of that type."""
    events = Annotated[list[event], msgspec.Meta(min_length=1, max_length=PER_CALL)]  # type: ignore[valid-type]
    return msgspec.defstruct("Batch", [("events", events)], forbid_unknown_fields=True)


def corrections_type(data: DataConfig) -> type[msgspec.Struct]:
    """The body of a corrections request: up to a thousand events as they are known to be later, or null: deleted."""
    said = _fields(data, without=(data.id, data.known_time))
    version = msgspec.defstruct("Version", said, forbid_unknown_fields=True, kw_only=True)
    fields: list[Any] = [
        (data.id, _type(data.columns[data.id])),
        ("known_time", Annotated[dt.datetime, msgspec.Meta(tz=True)]),
        ("event", version | None),
    ]
    one = msgspec.defstruct("Correction", fields, forbid_unknown_fields=True, kw_only=True)
    listed = Annotated[list[one], msgspec.Meta(min_length=1, max_length=PER_CALL)]  # type: ignore[valid-type]
    return msgspec.defstruct("Corrections", [("corrections", listed)], forbid_unknown_fields=True)


def feedback_type(data: DataConfig) -> type[msgspec.Struct]:
    """The body of a feedback request: up to a thousand late labels."""
    fields: list[Any] = [
        (data.id, _type(data.columns[data.id])),
        ("label", Literal[0, 1]),
        ("known_time", Annotated[dt.datetime, msgspec.Meta(tz=True)]),
        ("scenario", Annotated[str, msgspec.Meta(max_length=100)] | None, None),
    ]
    label = msgspec.defstruct("Label", fields, forbid_unknown_fields=True, kw_only=True)
    labels = Annotated[list[label], msgspec.Meta(min_length=1, max_length=PER_CALL)]  # type: ignore[valid-type]
    return msgspec.defstruct("Feedback", [("labels", labels)], forbid_unknown_fields=True)


def example(data: DataConfig) -> dict[str, Any]:
    """A request body that is accepted, from the columns' examples."""
    kinds: dict[str, Any] = {"integer": int, "money": int, "number": float, "timestamp": str, "string": str}
    return {n: kinds[c.type](c.example) for n, c in asked_columns(data).items() if c.example is not None}


def example_of_corrections(data: DataConfig) -> dict[str, Any]:
    """A request that corrects that event and deletes another."""
    event = example(data)
    said = {data.id: event.get(data.id, "1"), "known_time": "2018-08-22T00:00:00Z"}
    version = {name: value for name, value in event.items() if name not in (data.id, data.known_time)}
    return {"corrections": [{**said, "event": version}, {**said, "event": None}]}


def micros(time: dt.datetime) -> int:
    """A time as whole microseconds since 1970."""
    whole = int(time.replace(microsecond=0).timestamp())
    return whole * MICROSECONDS + time.microsecond


def _fields(data: DataConfig, without: tuple[str | None, ...] = ()) -> list[Any]:
    kinds = {name: (_type(one), one.nulls) for name, one in asked_columns(data).items() if name not in without}
    return [(name, kind | None, None) if nulls else (name, kind) for name, (kind, nulls) in kinds.items()]


def _type(column: ColumnConfig) -> Any:
    if column.type == "timestamp":
        return Annotated[dt.datetime, msgspec.Meta(tz=True, description=column.description)]
    if column.type == "string":
        if not is_text(column):
            return Literal[tuple(column.categories or ())]  # type: ignore[return-value]
        return Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT, description=column.description)]
    whole = column.type in ("integer", "money")
    limits: dict[str, Any] = {"description": column.description, **(INT64 if whole else FLOAT32)}
    if column.minimum is not None:
        limits["ge"] = math.ceil(column.minimum) if whole else column.minimum
    if column.maximum is not None:
        limits["le"] = math.floor(column.maximum) if whole else column.maximum
    return Annotated[int if whole else float, msgspec.Meta(**limits)]
