"""What the endpoint does, without HTTP: features from the state, a score from the bundle, a record in the journal."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serve import cores, feature_state, follow, journal, later
from serve.answered import Answered, answer_of, encoded
from serve.answers import Refusal
from serve.compactor import Compactor
from serve.journal import Journal
from serve.models import Decided, Models
from serve.moves import SHADOWS
from serve.schemas import micros
from serve.settings import Settings
from serve.shadows import Shadows
from workbench.data.store import Store
from workbench.errors import StateUnavailable
from workbench.features.online import OnlineState
from workbench.features.vector import Place
from workbench.feedback import prediction_log
from workbench.governance import tokens
from workbench.governance.keys import Keys
from workbench.models.bundle import Bundle

DAY_US = 86_400_000_000
PATIENCE_S = 2.0  # that a repeated event waits for the record of whoever is answering it
RECENT = 64  # events that a new version must score before it is taken
log = logging.getLogger("ray.serve")


class Question(NamedTuple):
    """A request to score an event, parsed and checked."""

    identity: str
    values: dict[str, Any]  # times as microseconds, entities as tokens
    text: str  # the same as JSON, as it is recorded
    request_id: str
    started: int


class Service:
    """The models that are live, with their feature state and journal."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, Store(settings.store)
        self.public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(settings.public_key))
        self.models = Models(follow.first(self.store, settings, self.public_key))
        self.recent: deque[list[float]] = deque(maxlen=RECENT)
        self.token = tokens.cached(Keys(settings.keys_folder).pseudonym())
        self._history = prediction_log.history_name(settings.validated_key, settings.history_until_us)
        self._times = [name for name, column in settings.data.columns.items() if column.type == "timestamp"]
        self._dimensions = json.dumps(settings.dimensions, sort_keys=True)
        folder = settings.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._core = cores.pin(cores.folder(), settings.cores)
        self.predictions, self.feedback = Journal(folder, "predictions"), Journal(folder, "feedback")
        self.corrections = Journal(folder, "corrections")
        self.answered = Answered(folder, self.store, settings.log)
        self.on_decision: Callable[[str, str], None] = lambda *_: None  # told version and decision of each
        self.alone = threading.Lock()  # held by whoever asks or changes the state: the loop, or a thread beside it
        self.compactor = Compactor(self)
        self.shadows = Shadows(
            Journal(folder, SHADOWS),
            lambda: self.models.shadows,
            settings.guardrails.shadow_queue,
            lambda: self.compactor.sheds,
        )
        self._customer = next(iter(settings.data.entities), settings.data.id)
        self.state = feature_state.of(self)
        self.alive = None if isinstance(self.state, OnlineState) else journal.live(folder, self.state.replica)
        self.state.fill_once(lambda fresh: feature_state.fill(self, fresh))
        feature_state.settle(self)
        self.bundle.scorer.one(self.state.feature_set.zeros)  # the first run of a session is slow
        self.follower = follow.Follower(self)
        if settings.follows:
            self.follower.follow()
            self.follower.start()
            self.shadows.start()
        self.compactor.start()

    @property
    def bundle(self) -> Bundle:
        """The champion."""
        return self.models.champion

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

    def check_room(self) -> None:
        """Raise `Refusal` 503 before a record would have to be dropped: the tables are too far behind."""
        if self.compactor.full:
            wait_s = str(max(1, round(self.settings.compact_every_s)))
            raise Refusal(503, "The journal is full: its records wait for the tables.", retry_after=wait_s)

    def question(self, event: msgspec.Struct, request_id: str) -> Question:
        """The same, unchecked."""
        started = time.perf_counter_ns()
        values = self.values(event)
        return Question(str(values[self.settings.data.id]), values, encoded(values), request_id, started)

    def scored(self, asked: Question, again: bool = False) -> dict[str, Any] | None:
        """The decision on an event, after it was recorded; one that cannot be recorded does not count.

        None where the log has to be asked whether the event was answered before. `again`: it is not asked, and an event
        that was answered gets one more answer, unless memory has another event of its id.
        """
        if known := self.answered.recent(asked.identity):
            first = known.to(asked.text)
            if not again:
                return first
        self.check_room()
        placed = self.state.placed if again else self.state.taken
        with self.alone:
            return self._recorded(asked, placed, first=not again)

    def scored_before(self, asked: Question) -> dict[str, Any]:
        """The first answer to an event that is not new; it is scored where the log has none. This reads files."""
        until = time.monotonic() + PATIENCE_S
        with self.answered.turn():
            while True:
                # before the log is asked: whoever claims it records it first
                claimed = self.state.claimed(asked.values[self.settings.data.id])
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

    def _recorded(
        self, asked: Question, placed: Callable[[dict[str, Any]], Any], first: bool = True
    ) -> dict[str, Any] | None:
        """The decision on an event that `placed` takes in; None where it does not."""
        try:
            found = placed(asked.values)
            if found is None:
                return None
            place, features = found
            record = self.record(asked, place, features, self.models.decide(self.customer(asked), features))
            self.predictions.append([record])
        except StateUnavailable:
            raise  # it takes back itself what was taken in all the same, as soon as it can
        except BaseException:
            self.state.take_back()
            raise
        return self.answer(asked, record, first)

    def answer(self, asked: Question, record: dict[str, Any], first: bool = True) -> dict[str, Any]:
        """The answer that goes with a record that is written; shadows score beside it.

        The first one is remembered. Of one more it is not known whether the log has an earlier one, which counts.
        """
        body = answer_of(record)
        self.on_decision(body["model_version"], body["decision"])
        if first:
            self.answered.remember(asked.identity, asked.text, body)
        self.recent.append(record["features"])
        if self.models.shadows:
            self.shadows.put(asked.request_id, asked.identity, record["event_time"], record["features"])
        return body

    def customer(self, asked: Question) -> Any:
        """By whom a canary's customers are told from others: the first entity's token, or the event's id."""
        found = asked.values[self._customer]
        return asked.identity if found is None else found

    def record(self, asked: Question, place: Place, features: list[float], decided: Decided) -> dict[str, Any]:
        """What the log keeps of a decision."""
        values, names = asked.values, self.state.feature_set
        return {
            "request_id": asked.request_id,
            "id": asked.identity,
            "event_time": values[names.event_time],
            "received_at": prediction_log.now_us(),
            **place._asdict(),
            "entities": [values[entity] for entity in self.settings.data.entities],
            "event": asked.text,
            "features": features,
            "score": decided.score,
            "member_logits": decided.member_logits,
            "flagged": decided.flagged,
            "model_version": decided.bundle.version,
            "feature_view_version": names.digest,
            "history": self._history,
            "dimensions": self._dimensions,
            "latency_us": (time.perf_counter_ns() - asked.started) // 1000,
            **decided.beside,
        }

    def learn(self, told: list[Any]) -> dict[str, int]:
        """Take in late labels, all without a pause: recorded first, then seen by the features that use them."""
        return later.answer(told, sum(later.labels(self, told)))

    def correct(self, told: list[Any]) -> dict[str, int]:
        """The same of what is known later of events, or that they are deleted."""
        return later.answer(told, sum(later.corrections(self, told)))

    def compact(self) -> int:
        """Move what was recorded into the tables; returns the number of records."""
        return self.compactor.compact()

    def drain(self) -> None:
        """Return when the tables hold all that any replica had recorded before."""
        self.compactor.drain()

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

    def values(self, event: msgspec.Struct) -> dict[str, Any]:
        """An event with times as integers and entities as tokens."""
        values = msgspec.structs.asdict(event)
        for name in self._times:
            if values.get(name) is not None:
                values[name] = micros(values[name])
        for entity in self.settings.data.entities:
            if values[entity] is not None:
                values[entity] = self.token(entity, values[entity])
        return values
