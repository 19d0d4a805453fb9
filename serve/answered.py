"""What was answered before: an event that is sent again gets its first answer, from memory, the journal or the table.

An event's id is its idempotency key. The feature state says in one act whether an event is new (`taken`); of one that
is not, the log says what was answered, whichever replica did. Only where the log has nothing (an event of the history,
one from before all memory, one whose replica died before its record) it is scored, under a lock that all replicas
share: once.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow.compute as pc

from serve import journal
from serve.answers import Refusal
from serve.schemas import micros
from workbench.data.store import Store
from workbench.feedback import prediction_log

KEPT = 20_000  # answers of its own that a replica has in memory
LOCK = "again.lock"
ANSWER = ("request_id", "score", "model_version", "feature_view_version")


class Answer(NamedTuple):
    """The first answer to an event."""

    event: str  # as it was recorded: JSON
    body: dict[str, Any]

    def to(self, event: str) -> dict[str, Any]:
        """The answer to the same event; raises `Refusal` 409 where the body differs."""
        if event == self.event or _same(json.loads(event), json.loads(self.event)):
            return self.body
        raise Refusal(409, "Another event was answered under this id.")


class Answered:
    """The answers of one prediction log."""

    def __init__(self, folder: Path, store: Store, log: str) -> None:
        self._folder, self._store, self._log = folder, store, log
        self._own = OrderedDict[str, Answer]()  # a plain dict looks for its oldest among all that were forgotten

    def remember(self, identity: str, event: str, body: dict[str, Any]) -> None:
        """Keep an answer of this replica's own; the oldest are forgotten."""
        self._own[identity] = Answer(event, body)
        if len(self._own) > KEPT:
            self._own.popitem(last=False)

    def recent(self, identity: str) -> Answer | None:
        """An answer that is in memory."""
        return self._own.get(identity)

    def find(self, identity: str) -> Answer | None:
        """The first answer to an event, wherever it is recorded; this reads files."""
        if found := self.recent(identity):
            return found
        records = [one for one in journal.records(self._folder, "predictions", identity) if one["id"] == identity]
        table = prediction_log.predictions(self._store, self._log)
        if table.exists():  # also where the journal has one: the first is meant
            columns = [*ANSWER, "id", "event", "flagged", "as_of", "received_at"]
            rows = table.read(columns, pc.field("id") == identity)
            records = [*prediction_log.first_answers(rows).to_pylist(), *records]
        record = first(records)
        return None if record is None else Answer(record["event"], answer_of(record))

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """A block that one thread of all replicas is in at a time; the kernel frees it where a process dies."""
        file = os.open(self._folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def first(records: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The record of the first answer to an event: one more may have seen no newer event, but is received later."""
    return min(records, key=lambda one: (one["as_of"] or 0, _us(one["received_at"])), default=None)


def answer_of(record: dict[str, Any]) -> dict[str, Any]:
    """The answer that a record was written for."""
    decision = "flag" if record["flagged"] else "pass"
    return {"request_id": record["request_id"], "score": record["score"], "decision": decision} | {
        name: record[name] for name in ANSWER[2:]
    }


def encoded(values: dict[str, Any]) -> str:
    """An event as it is recorded."""
    return msgspec.json.encode(values).decode()


def _us(moment: int | dt.datetime) -> int:
    """A time of a journal (us) or of a table."""
    return moment if isinstance(moment, int) else micros(moment)


def _same(event: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two events say the same; a column that one of them does not know is null."""
    return all(event.get(name) == other.get(name) for name in event.keys() | other.keys())
