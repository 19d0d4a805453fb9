"""What the endpoint does, without HTTP: features from the state, a score from the bundle, a record in the journal."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serve import feature_state, journal
from serve.answered import Answered, answer_of, encoded
from serve.answers import Refusal
from serve.journal import Journal
from serve.schemas import micros
from workbench.config import DataConfig
from workbench.data.store import Store
from workbench.digest import digest
from workbench.errors import EnvironmentFault, StateUnavailable
from workbench.features.definitions import known_time_column
from workbench.features.earlier import NO_CORRECTIONS
from workbench.features.online import OnlineState
from workbench.features.vector import Place
from workbench.feedback import prediction_log
from workbench.governance import tokens
from workbench.governance.keys import Keys
from workbench.models.bundle import Bundle, open_bundle

DAY_US = 86_400_000_000
PATIENCE_S = 2.0  # that a repeated event waits for the record of whoever is answering it
DRAIN_S = 60.0  # that a replica may take to move its segment, once it is due
log = logging.getLogger("ray.serve")


@dataclass(frozen=True)
class Settings:
    """What a replica is given: names of things in the store and digests, no secret."""

    application: str
    store: str
    version: str
    public_key: str  # hex
    api_key_digest: str
    keys_folder: str  # where the replica finds the pseudonym key
    data: DataConfig
    raw_key: str
    validated_key: str
    history_until_us: int | None  # events of the snapshot before this are history; None: none is
    journal: str
    compact_every_s: float
    max_body_bytes: int
    ahead_days: float  # how far an event may lie ahead of the newest one
    redis_url: str | None = None  # where the feature state is shared; None: it lives in the process
    dimensions: dict[str, str] = field(default_factory=dict)  # the key of each table's snapshot
    max_batch_body_bytes: int = 2_097_152
    log_requests: bool = False

    @property
    def log(self) -> str:
        """The name of its prediction log."""
        return prediction_log.log_name(self.application, self.raw_key)

    @property
    def folder(self) -> Path:
        """The folder of its journal: one per log and store."""
        return Path(self.journal) / f"{self.log}-{digest(self.store)}"


class Question(NamedTuple):
    """A request to score an event, parsed and checked."""

    identity: str
    values: dict[str, Any]  # times as microseconds, entities as tokens
    text: str  # the same as JSON, as it is recorded
    request_id: str
    started: int


class Service:
    """One loaded model version with its feature state and journal."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, Store(settings.store)
        self.public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(settings.public_key))
        self.bundle: Bundle = open_bundle(self.store.get("models", settings.version), self.public_key)
        self.token = tokens.cached(Keys(settings.keys_folder).pseudonym())
        self._history = prediction_log.history_name(settings.validated_key, settings.history_until_us)
        self._dimensions = json.dumps(settings.dimensions, sort_keys=True)
        folder = settings.folder
        self.predictions, self.feedback = Journal(folder, "predictions"), Journal(folder, "feedback")
        self.corrections = Journal(folder, "corrections")
        self.answered = Answered(folder, self.store, settings.log)
        self.on_decision: Callable[[str, str], None] = lambda *_: None  # told version and decision of each
        self.alone = threading.Lock()  # held by whoever asks or changes the state: the loop, or a thread beside it
        self._compacting = threading.Lock()
        self._failed: dict[str, Exception] = {}  # why a segment could not be moved in the last round
        self.state = feature_state.of(self)
        self.alive = None if isinstance(self.state, OnlineState) else journal.live(folder, self.state.replica)
        self.state.fill_once(lambda fresh: feature_state.fill(self, fresh))
        feature_state.settle(self)
        self.bundle.scorer.one(self.state.feature_set.zeros)  # the first run of a session is slow
        threading.Thread(target=self._compact_for_ever, name="compactor", daemon=True).start()

    def score(self, event: msgspec.Struct, request_id: str, again: bool = False) -> dict[str, Any]:
        """The decision on an event: its first one, wherever it is recorded. This may wait and read files."""
        asked = self.asked(event, request_id)
        answer = self.scored(asked, again)
        return self.scored_before(asked) if answer is None else answer

    def asked(self, event: msgspec.Struct, request_id: str) -> Question:
        """A request to score that may be answered; raises `Refusal` otherwise."""
        question = self.question(event, request_id)
        self.check([*self.ahead(question.values, "$")])
        return question

    def question(self, event: msgspec.Struct, request_id: str) -> Question:
        """The same, unchecked."""
        started = time.perf_counter_ns()
        values = self._values(event)
        return Question(str(values[self.settings.data.id]), values, encoded(values), request_id, started)

    def scored(self, asked: Question, again: bool = False) -> dict[str, Any] | None:
        """The decision on an event, after it was recorded; one that cannot be recorded does not count.

        None where the log has to be asked whether the event was answered before. `again`: it is not asked, and an event
        that was answered gets one more answer.
        """
        if not again and (known := self.answered.recent(asked.identity)):
            return known.to(asked.text)
        with self.alone:
            placed = self.state.placed if again else self.state.taken
            return self._recorded(asked, placed)

    def scored_before(self, asked: Question) -> dict[str, Any]:
        """The first answer to an event that is not new; it is scored where the log has none. This reads files."""
        until = time.monotonic() + PATIENCE_S
        with self.answered.turn():
            while True:
                claimed = self.state.claimed(
                    asked.values[self.settings.data.id]
                )  # before the log is asked: it is recorded first
                if found := self.answered.find(asked.identity):
                    return found.to(asked.text)
                if claimed is None or not journal.lives(self.settings.folder, claimed):
                    break  # it keeps the number that whoever is dead has given it
                if time.monotonic() > until:
                    raise Refusal(503, "This event is being answered elsewhere; send it again.", retry_after="1")
                time.sleep(0.02)
            with self.alone:
                answer = self._recorded(asked, self.state.placed)
        assert answer is not None, "`placed` takes in whatever comes"
        return answer

    def _recorded(self, asked: Question, placed: Callable[[dict[str, Any]], Any]) -> dict[str, Any] | None:
        """The decision on an event that `placed` takes in; None where it does not."""
        try:
            found = placed(asked.values)
            if found is None:
                return None
            score, member_logits = self.bundle.scorer.one(found[1])
            record = self.record(asked, *found, score, member_logits)
            self.predictions.append([record])
        except StateUnavailable:
            raise  # it takes back itself what was taken in all the same, as soon as it can
        except BaseException:
            self.state.take_back()
            raise
        return self.answer(asked, record)

    def answer(self, asked: Question, record: dict[str, Any]) -> dict[str, Any]:
        """The answer that goes with a record that is written; it is remembered."""
        body = answer_of(record)
        self.on_decision(body["model_version"], body["decision"])
        self.answered.remember(asked.identity, asked.text, body)
        return body

    def record(
        self, asked: Question, place: Place, features: list[float], score: float, member_logits: list[float]
    ) -> dict[str, Any]:
        """What the log keeps of a decision."""
        bundle, values = self.bundle, asked.values
        names = bundle.feature_set
        return {
            "request_id": asked.request_id,
            "id": asked.identity,
            "event_time": values[names.event_time],
            "received_at": prediction_log.now_us(),
            **place._asdict(),
            "entities": [values[entity] for entity in self.settings.data.entities],
            "event": asked.text,
            "features": features,
            "score": score,
            "member_logits": member_logits,
            "flagged": score >= bundle.threshold,
            "model_version": bundle.version,
            "feature_view_version": names.digest,
            "history": self._history,
            "dimensions": self._dimensions,
            "latency_us": (time.perf_counter_ns() - asked.started) // 1000,
        }

    def learn(self, told: list[Any]) -> dict[str, int]:
        """Take in late labels: recorded first, then seen by the features that use them."""
        now, id_column = prediction_log.now_us(), self.settings.data.id
        records = []
        with self.alone:
            for one in told:
                identity, known_time = getattr(one, id_column), micros(one.known_time)
                event_time = self.state.time_of(identity)
                record = {"id": str(identity), "label": one.label, "scenario": one.scenario, "event_time": event_time}
                records.append({**record, "known_time": known_time, "recorded_at": now})
            self.feedback.append(records)
            known = [self.state.label(getattr(one, id_column), bool(one.label), micros(one.known_time)) for one in told]
        return {"accepted": len(told), "in_feature_state": sum(known)}

    def correct(self, told: list[Any]) -> dict[str, int]:
        """Take in what is known later of events, or that they are deleted: recorded first, then seen by features."""
        if self.bundle.feature_set.sequence:
            raise Refusal(422, NO_CORRECTIONS)
        said = [self._version(one) for one in told]
        now, records = prediction_log.now_us(), []
        with self.alone:
            self.check([fault for number, one in enumerate(said) for fault in self._faults(number, *one)])
            for number, (identity, version, known_time) in enumerate(said):
                event = None if version is None else encoded(version)
                in_state = self.state.known_from(identity) is not None
                record = {"id": str(identity), "event": event, "known_time": known_time, "recorded_at": now}
                records.append({**record, "position": number, "in_state": in_state})
            self.corrections.append(records)
            taken_in = [self.state.correct(*one) for one in said]
        return {"accepted": len(told), "in_feature_state": sum(taken_in)}

    def compact(self) -> int:
        """Move what this replica and dead ones have recorded into the tables; returns the number of records.

        A segment that cannot be moved stays for the next round and keeps none behind it: tables are read in the order
        of what their records say, so that it does not matter which comes first.
        """
        moved = 0
        with self._compacting:
            told, self._failed = {str(error) for error in self._failed.values()}, {}
            for written, move in (
                (self.predictions, self._move_predictions),
                (self.feedback, self._move_feedback),
                (self.corrections, self._move_corrections),
            ):
                written.close_segment()
                moved += sum(self._moved(move, segment) for segment in written.released())
        for message in sorted({str(error) for error in self._failed.values()} - told):  # once, not in every round
            log.error("the journal keeps its records, the tables could not take them: %s", message)
        log.debug("%s: %d records moved", self.settings.application, moved)
        return moved

    def drain(self) -> None:
        """Return when the tables hold all that any replica had recorded before; those that live move theirs."""
        settings = self.settings
        waiting, until = journal.unmoved(settings.folder), time.monotonic() + settings.compact_every_s + DRAIN_S
        while self.compact() or waiting & journal.unmoved(settings.folder):
            for error in self._failed.values():
                raise error
            if time.monotonic() > until:
                raise EnvironmentFault(
                    f"{settings.folder} was not moved into the tables by the replicas. See their log."
                )
            time.sleep(0.1)

    def _moved(self, move: Callable[[Path], int], segment: Path) -> int:
        try:
            return move(segment)
        except pa.ArrowException as error:
            log.error("%s cannot be read and is set aside: %s", segment, error)
            journal.set_aside(segment)
        except Exception as error:  # noqa: BLE001 - the others are moved, whatever a library raises
            self._failed[segment.name] = error
        return 0

    def check(self, faults: list[dict[str, str]]) -> None:
        """Raise `Refusal` 422 with the faults, if there are any."""
        if faults:
            raise Refusal(422, "A time cannot be right.", faults)

    def ahead(self, values: dict[str, Any], where: str, seen_us: int = 0) -> Iterator[dict[str, str]]:
        """A fault where an event lies far ahead of all that was seen: it would make the whole state look expired.

        `seen_us`: the newest of the events that are taken in before it.
        """
        field, days, state = self.bundle.feature_set.event_time, self.settings.ahead_days, self.state
        newest_us = values[field] - round(days * DAY_US)
        if newest_us <= max(state.clock, seen_us):
            return
        # a shared state's clock is as of the last look, which `len` is: only then it is told from another replica's
        if not len(state) and not seen_us:  # the data's clock may be any, but the future's it is not
            if newest_us > prediction_log.now_us():
                yield {"field": f"{where}.{field}", "rule": f"At most {days:g} days after now, while no event is known"}
        elif newest_us > max(state.clock, seen_us):
            yield {"field": f"{where}.{field}", "rule": f"At most {days:g} days after the newest event"}

    def _faults(
        self, number: int, identity: Any, version: dict[str, Any] | None, known_time: int
    ) -> Iterator[dict[str, str]]:
        """What is wrong with a correction."""
        where = f"$.corrections[{number}]"
        if version is not None:
            yield from self.ahead(version, f"{where}.event")
        if (known_from := self.state.known_from(identity)) is not None and known_time < known_from:
            yield {"field": f"{where}.known_time", "rule": "Not before the event itself was known"}

    def _version(self, told: Any) -> tuple[Any, dict[str, Any] | None, int]:
        """An event as it is known to be later, with its id and since when; None where it is deleted."""
        data, known_time = self.settings.data, micros(told.known_time)
        identity = getattr(told, data.id)
        if told.event is None:
            return identity, None, known_time
        return (
            identity,
            {data.id: identity, **self._values(told.event), known_time_column(data): known_time},
            known_time,
        )

    def _move_predictions(self, segment: Path) -> int:
        return prediction_log.move_predictions(self.store, self.settings.log, segment)

    def _move_corrections(self, segment: Path) -> int:
        return prediction_log.move_corrections(self.store, self.settings.log, segment)

    def _move_feedback(self, segment: Path) -> int:
        data = self.settings.data
        id_type = pa.int64() if data.columns[data.id].type == "integer" else pa.string()
        return prediction_log.move_feedback(self.store, self.settings.raw_key, data.id, id_type, segment)

    def _compact_for_ever(self) -> None:
        while True:
            time.sleep(self.settings.compact_every_s)
            for act in (self.compact, lambda: feature_state.settle(self)):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a library raises
                    log.error("what is done every few seconds beside answering failed: %s", error)

    def _values(self, event: msgspec.Struct) -> dict[str, Any]:
        """The event with times as integers and entities as tokens."""
        values = msgspec.structs.asdict(event)
        for name, column in self.settings.data.columns.items():
            if column.type == "timestamp" and values.get(name) is not None:
                values[name] = micros(values[name])
        for entity in self.settings.data.entities:
            if values[entity] is not None:
                values[entity] = self.token(entity, values[entity])
        return values
