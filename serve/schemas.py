"""Requests as strict types, made from the data set's YAML: payments takes a transaction, credit an application.

Wrong types, unknown fields, nulls, values out of range and NaN are refused before anything is computed; what was sent
is never repeated in an answer.
"""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec

from workbench.config import ColumnConfig, DataConfig

MICROSECONDS = 1_000_000
LABELS_PER_CALL = 1000
INT64 = {"ge": -(2**63), "le": 2**63 - 1}  # what a table's column holds
FLOAT32 = {"ge": -3.4e38, "le": 3.4e38}  # what a model's input holds


def event_type(data: DataConfig) -> type[msgspec.Struct]:
    """The body of a scoring request."""
    fields: list[Any] = []
    for name, column in data.columns.items():
        kind = _type(column)
        fields.append((name, kind | None, None) if column.nulls else (name, kind))
    return msgspec.defstruct("Event", fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def feedback_type(data: DataConfig) -> type[msgspec.Struct]:
    """The body of a feedback request: up to a thousand late labels."""
    fields: list[Any] = [
        (data.id, _type(data.columns[data.id])),
        ("label", Literal[0, 1]),
        ("known_time", Annotated[dt.datetime, msgspec.Meta(tz=True)]),
        ("scenario", Annotated[str, msgspec.Meta(max_length=100)] | None, None),
    ]
    label = msgspec.defstruct("Label", fields, forbid_unknown_fields=True, kw_only=True)
    labels = Annotated[list[label], msgspec.Meta(min_length=1, max_length=LABELS_PER_CALL)]  # type: ignore[valid-type]
    return msgspec.defstruct("Feedback", [("labels", labels)], forbid_unknown_fields=True)


def example(data: DataConfig) -> dict[str, Any]:
    """A request body that is accepted, from the columns' examples."""
    kinds: dict[str, Any] = {"integer": int, "money": int, "number": float, "timestamp": str, "string": str}
    return {n: kinds[c.type](c.example) for n, c in data.columns.items() if c.example is not None}


def micros(time: dt.datetime) -> int:
    """A time as whole microseconds since 1970."""
    whole = int(time.replace(microsecond=0).timestamp())
    return whole * MICROSECONDS + time.microsecond


def _type(column: ColumnConfig) -> Any:
    if column.type == "timestamp":
        return Annotated[dt.datetime, msgspec.Meta(tz=True, description=column.description)]
    if column.type == "string":
        if column.categories:
            return Literal[tuple(column.categories)]  # type: ignore[return-value]
        return Annotated[str, msgspec.Meta(max_length=200, description=column.description)]
    whole = column.type in ("integer", "money")
    limits: dict[str, Any] = {"description": column.description, **(INT64 if whole else FLOAT32)}
    if column.minimum is not None:
        limits["ge"] = int(column.minimum) if whole else column.minimum
    if column.maximum is not None:
        limits["le"] = int(column.maximum) if whole else column.maximum
    return Annotated[int if whole else float, msgspec.Meta(**limits)]
