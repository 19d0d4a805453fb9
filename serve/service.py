"""What the endpoint does, without HTTP: features from the state, a score from the bundle, a record in the journal."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serve import journal
from serve.answers import Refusal
from serve.journal import Journal
from serve.schemas import micros
from workbench.config import DataConfig
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.digest import digest
from workbench.errors import EnvironmentFault
from workbench.features import tables
from workbench.features.online import OnlineState
from workbench.feedback import prediction_log
from workbench.governance import tokens
from workbench.governance.keys import Keys
from workbench.models.bundle import Bundle, open_bundle

if TYPE_CHECKING:
    from workbench.features.redis_state import RedisState

DAY_US = 86_400_000_000
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

    @property
    def log(self) -> str:
        """The name of its prediction log."""
        return prediction_log.log_name(self.application, self.raw_key)

    @property
    def folder(self) -> Path:
        """The folder of its journal: one per log and store."""
        return Path(self.journal) / f"{self.log}-{digest(self.store)}"


class Service:
    """One loaded model version with its feature state and journal."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, Store(settings.store)
        public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(settings.public_key))
        self.bundle: Bundle = open_bundle(self.store.get("models", settings.version), public_key)
        self.token = tokens.cached(Keys(settings.keys_folder).pseudonym())
        folder = settings.folder
        self.predictions, self.feedback = Journal(folder, "predictions"), Journal(folder, "feedback")
        self._compacting = threading.Lock()
        self.state = _state(self)
        self.state.fill_once(lambda fresh: _fill(self, fresh))
        self.bundle.scorer.one(self.state.feature_set.zeros)  # the first run of a session is slow
        threading.Thread(target=self._compact_for_ever, name="compactor", daemon=True).start()

    def score(self, event: msgspec.Struct, request_id: str) -> dict[str, Any]:
        """The decision on an event, after it was recorded."""
        started, bundle = time.perf_counter_ns(), self.bundle
        values = self._values(event)
        self._check_time(values[bundle.feature_set.event_time])
        place, features = self.state.placed(values)
        score, member_logits = bundle.scorer.one(features)
        flagged = score >= bundle.threshold
        names = bundle.feature_set
        record = {
            "request_id": request_id,
            "id": str(values[names.id]),
            "event_time": values[names.event_time],
            "received_at": prediction_log.now_us(),
            **place._asdict(),
            "entities": [values[entity] for entity in self.settings.data.entities],
            "event": msgspec.json.encode(values).decode(),
            "features": features,
            "score": score,
            "member_logits": member_logits,
            "flagged": flagged,
            "model_version": bundle.version,
            "feature_view_version": names.digest,
            "latency_us": (time.perf_counter_ns() - started) // 1000,
        }
        self.predictions.append([record])
        return {
            "request_id": request_id,
            "score": score,
            "decision": "flag" if flagged else "pass",
            "model_version": bundle.version,
            "feature_view_version": names.digest,
        }

    def learn(self, told: list[Any]) -> dict[str, int]:
        """Take in late labels: recorded first, then seen by the features that use them."""
        now, id_column = prediction_log.now_us(), self.settings.data.id
        records, known = [], 0
        for one in told:
            identity, known_time = getattr(one, id_column), micros(one.known_time)
            event_time = self.state.time_of(identity)
            record = {"id": str(identity), "label": one.label, "scenario": one.scenario, "event_time": event_time}
            records.append({**record, "known_time": known_time, "recorded_at": now})
        self.feedback.append(records)
        for one in told:
            known += self.state.label(getattr(one, id_column), bool(one.label), micros(one.known_time))
        return {"accepted": len(told), "in_feature_state": known}

    def compact(self) -> int:
        """Move what this replica and dead ones have recorded into the tables; returns the number of records."""
        moved = 0
        with self._compacting:
            for written, move in ((self.predictions, self._move_predictions), (self.feedback, self._move_feedback)):
                written.close_segment()
                moved += sum(self._moved(move, segment) for segment in written.released())
        log.debug("%s: %d records moved", self.settings.application, moved)
        return moved

    def drain(self) -> None:
        """Return when the tables hold all that any replica had recorded before; those that live move theirs."""
        settings = self.settings
        waiting, until = journal.unmoved(settings.folder), time.monotonic() + settings.compact_every_s + DRAIN_S
        while self.compact() or waiting & journal.unmoved(settings.folder):
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
            return 0

    def _check_time(self, time_us: int) -> None:
        """Refuse what lies far ahead of all that was seen: it would make the whole state look expired."""
        newest_us, state = time_us - round(self.settings.ahead_days * DAY_US), self.state
        # a shared state's clock is as of the last look, which `len` is: only then it is told from another replica's
        if newest_us > state.clock and len(state) and newest_us > state.clock:
            field, days = self.bundle.feature_set.event_time, self.settings.ahead_days
            rule = f"At most {days:g} days after the newest event"
            raise Refusal(422, "The event lies too far in the future.", [{"field": f"$.{field}", "rule": rule}])

    def _move_predictions(self, segment: Path) -> int:
        return prediction_log.move_predictions(self.store, self.settings.log, segment)

    def _move_feedback(self, segment: Path) -> int:
        data = self.settings.data
        id_type = pa.int64() if data.columns[data.id].type == "integer" else pa.string()
        return prediction_log.move_feedback(self.store, self.settings.raw_key, data.id, id_type, segment)

    def _compact_for_ever(self) -> None:
        while True:
            time.sleep(self.settings.compact_every_s)
            try:
                self.compact()
            except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a library raises
                log.error("the journal keeps its records, the tables could not take them: %s", error)

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


def _state(service: Service) -> "OnlineState | RedisState":
    """The state, in this process or shared; whatever it is filled from is part of a shared one's name."""
    settings, feature_set = service.settings, service.bundle.feature_set
    looked_up = tables.load(service.store, feature_set, settings.dimensions, settings.data.entities, service.token)
    if settings.redis_url is None:
        return OnlineState(feature_set, looked_up)
    from workbench.features.redis_state import RedisState

    rows = (settings.log, settings.validated_key, settings.history_until_us)
    source = digest(settings.store, *rows, service.token("state", ""))
    return RedisState(feature_set, settings.redis_url, f"{settings.application}:{source}", looked_up)


def _fill(service: Service, state: OnlineState) -> None:
    """Load the state: the snapshot's history, then what this endpoint itself has seen and been told."""
    service.drain()
    settings, names = service.settings, service.bundle.feature_set
    if settings.history_until_us is not None and names.entities:
        time_us = pa.scalar(settings.history_until_us, pa.int64()).cast(labels.TIME)
        since = pa.scalar(settings.history_until_us - names.memory_us, pa.int64()).cast(labels.TIME)
        chosen = (pc.field(names.event_time) >= since) & (pc.field(names.event_time) < time_us)
        events = snapshots.read(service.store.get("validated", settings.validated_key), rows=chosen)
        events = tokens.tokenised(events, settings.data.entities, service.token)
        history = labels.read(service.store, settings.raw_key, time_us.as_py())
        state.load(events, history)
    _replay_log(service, state)


def _replay_log(service: Service, state: OnlineState) -> None:
    table = prediction_log.predictions(service.store, service.settings.log)
    if not table.exists():
        return
    order = ["arrival", "as_of", "received_at"]
    seen = table.read(["event", *order]).sort_by([(name, "ascending") for name in order])
    for text, arrival in zip(seen["event"].to_pylist(), seen["arrival"].to_pylist(), strict=True):
        state.placed(json.loads(text), arrival)
    told = labels.read(service.store, service.settings.raw_key, channel="feedback")
    told = told.sort_by([("known_time", "ascending"), ("recorded_at", "ascending")])
    known = told["known_time"].cast(pa.int64()).to_pylist()
    for identity, label, at in zip(
        told[service.settings.data.id].to_pylist(), told["label"].to_pylist(), known, strict=True
    ):
        state.label(identity, bool(label), at)
