"""The feature state of an endpoint: where it lives, and what it begins with."""

import json
import logging
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from serve import journal
from workbench.data import labels, snapshots
from workbench.data.versions import Versions
from workbench.digest import digest
from workbench.features import tables
from workbench.features.online import OnlineState
from workbench.feedback import prediction_log
from workbench.governance import tokens

if TYPE_CHECKING:
    from serve.service import Service
    from workbench.features.redis_state import RedisState

log = logging.getLogger("ray.serve")


def of(service: "Service") -> "OnlineState | RedisState":
    """The state, in this process or shared; whatever it is filled from is part of a shared one's name."""
    settings, feature_set = service.settings, service.bundle.feature_set
    looked_up = tables.load(service.store, feature_set, settings.dimensions, settings.data.entities, service.token)
    if settings.redis_url is None:
        return OnlineState(feature_set, looked_up)
    from workbench.features.redis_state import RedisState

    rows = (settings.log, settings.validated_key, settings.history_until_us)
    source = digest(settings.store, *rows, service.token("state", ""))
    return RedisState(feature_set, settings.redis_url, f"{settings.application}:{source}", looked_up)


def settle(service: "Service") -> None:
    """Take out of a shared state what could not be recorded: the last event of a replica that died meanwhile."""
    state, settings = service.state, service.settings
    if isinstance(state, OnlineState):
        return  # it dies with its process
    state.settle()
    for replica in journal.dead(settings.folder):
        if (taken := state.taken_last(replica)) is None:
            continue
        identity, call = taken
        if _recorded(service, str(identity)):
            state.forget_replica(replica)
        elif state.take_back_of(replica, call):
            log.warning("event %s of a replica that died was not recorded: it is taken out of the state", call)


def _recorded(service: "Service", identity: str) -> bool:
    """Whether the log has that event; what is moved meanwhile is found in the table."""
    if journal.holds(service.settings.folder, "predictions", identity):
        return True
    table = prediction_log.predictions(service.store, service.settings.log)
    return table.exists() and table.read(["id"], pc.field("id") == identity).num_rows > 0


def fill(service: "Service", state: OnlineState) -> None:
    """Load the state: the snapshot's history, then what this endpoint itself has seen and been told."""
    service.drain()
    if service.settings.history_until_us is not None and service.bundle.feature_set.entities:
        _load_history(service, state, service.settings.history_until_us)
    _replay_log(service, state)


def _load_history(service: "Service", state: OnlineState, until_us: int) -> None:
    settings, names, versions = service.settings, service.bundle.feature_set, Versions.of(service.settings.data)
    since, until = (pa.scalar(us, pa.int64()).cast(labels.TIME) for us in (until_us - names.memory_us, until_us))
    chosen = (pc.field(names.event_time) >= since) & (pc.field(names.event_time) < until)
    validated = service.store.get("validated", settings.validated_key)
    rows = versions.read(validated, chosen) if versions else snapshots.read(validated, rows=chosen)
    rows = tokens.tokenised(rows, settings.data.entities, service.token)
    state.load(versions.events(rows) if versions else rows, labels.read(service.store, settings.raw_key, until.as_py()))
    for identity, version, known_time_us in versions.corrections(rows) if versions else ():
        state.correct(identity, version, known_time_us)


def _replay_log(service: "Service", state: OnlineState) -> None:
    """What was asked, each event with its corrections before the next one may make it forgotten; then the labels.

    What lies before all that the state remembers at the end is not read: a start does not grow with the log.
    """
    corrections = _corrections(service)
    for identity in [one for one in corrections if state.time_of(one) is not None]:  # of history
        _correct(state, identity, corrections.pop(identity))
    table = prediction_log.predictions(service.store, service.settings.log)
    if not table.exists():
        return
    newest_us = table.greatest("event_time").cast(pa.int64()).as_py() or 0
    since_us = max(state.clock, newest_us) - state.feature_set.memory_us
    moved = [identity for identity, said in corrections.items() if _moved(state, said, since_us)]
    recent = pc.field("event_time") >= pa.scalar(since_us, pa.int64()).cast(labels.TIME)
    order = ["arrival", "as_of", "received_at"]
    seen = table.read(["event", *order], recent | pc.field("id").isin(pa.array(map(str, moved), pa.string())))
    seen = seen.sort_by([(name, "ascending") for name in order])
    for text, arrival in zip(seen["event"].to_pylist(), seen["arrival"].to_pylist(), strict=True):
        event = json.loads(text)
        state.placed(event, arrival)
        _correct(state, event[service.settings.data.id], corrections.pop(event[service.settings.data.id], []))
    state.arrivals = max(state.arrivals, table.greatest("arrival").as_py() or 0)
    ledger, known_as = labels.ledger(service.store, service.settings.raw_key), pc.field(service.settings.data.id)
    recent |= pc.field("event_time").is_null()  # told before its event was asked, or after it was forgotten
    told = ledger.read(rows=(pc.field("channel") == "feedback") & (recent | known_as.isin(moved) if moved else recent))
    told = told.sort_by([("known_time", "ascending"), ("recorded_at", "ascending")])
    known = told["known_time"].cast(pa.int64()).to_pylist()
    for identity, label, at in zip(
        told[service.settings.data.id].to_pylist(), told["label"].to_pylist(), known, strict=True
    ):
        state.label(identity, bool(label), at)


def _moved(state: OnlineState, said: list[tuple[str | None, int]], since_us: int) -> bool:
    """Whether a later version of an event happens so late that the event is remembered for it."""
    times = (json.loads(event)[state.feature_set.event_time] for event, _ in said if event is not None)
    return any(time >= since_us for time in times)


def _corrections(service: "Service") -> dict[Any, list[tuple[str | None, int]]]:
    """What this endpoint was told of events later: version as JSON (None: deleted) and known time, ascending, by id."""
    found: dict[Any, list[tuple[str | None, int]]] = {}
    told = prediction_log.told_corrections(service.store, service.settings.log, service.settings.data)
    known = told["known_time"].cast(pa.int64()).to_pylist()
    for identity, event, at in zip(told["id"].to_pylist(), told["event"].to_pylist(), known, strict=True):
        found.setdefault(identity, []).append((event, at))
    return found


def _correct(state: OnlineState, identity: Any, said: list[tuple[str | None, int]]) -> None:
    for event, known_time_us in said:
        state.correct(identity, None if event is None else json.loads(event), known_time_us)
