"""Send the next week's events over HTTP as fast as they are answered, events and labels in the order they are known.

Reads:  validated snapshot; label ledger (what the source knows, at its own known times)
Writes: replay: counts and latencies; through the endpoint: prediction log, label ledger
Run:    python -m workloads.replay replay.days=1
"""

import asyncio
import contextlib
import datetime as dt
import json
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from workbench import awaited
from workbench.config import Config
from workbench.data import labels, snapshots
from workbench.data.store import Artifact, Store
from workbench.data.versions import Versions, asked_columns
from workbench.digest import digest
from workbench.errors import EnvironmentFault
from workbench.evaluation import protocol
from workbench.features.definitions import FeatureSet, known_time_column
from workbench.features.timeline import Ints, micros
from workbench.progress import say
from workloads import door, featurize, ingest, register, validate
from workloads.endpoint.live import Live, live

VERSION = 4
STEP = dt.timedelta(days=1)  # of the data's clock; labels are told before the events of their step
LABELS_PER_CALL = 1000


@dataclass
class Outcome:
    """What the client saw."""

    run: str = field(default_factory=lambda: f"replay-{secrets.token_hex(8)}-")  # how its request ids begin
    asked: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    labels: int = 0
    refused: str = ""  # why, by the first answer 422


def key(cfg: Config) -> str:
    """The name of the replay."""
    return digest("replay", VERSION, register.key(cfg), inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What a replay depends on besides the version."""
    served = {"application": cfg.serve.application, "state": cfg.serve.state, "replicas": cfg.serve.replicas}
    return {"start": cfg.replay.start, "days": cfg.replay.days, **served}


def run(cfg: Config) -> Artifact:
    """The finished replay."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("replays", name):
        return done
    events = events_of(cfg)
    told = told_labels(cfg, *clock(cfg, events))
    with live(cfg) as endpoint:
        started = time.monotonic()
        outcome = awaited.result(_replay(cfg, endpoint, events, told), uvloop.run)
        seconds = time.monotonic() - started
        endpoint.drained()
    _check(cfg, events, outcome, seconds)
    latency = np.percentile(outcome.latencies_ms, [50, 95, 99])
    figures = {
        "events": events.num_rows,
        "requests": outcome.run,
        "labels": outcome.labels,
        "seconds": seconds,
        "requests_per_s": events.num_rows / seconds,
        "client_latency_ms": dict(zip(("p50", "p95", "p99"), map(float, latency), strict=True)),
    }
    say(f"  {events.num_rows:,} events and {outcome.labels:,} labels in {seconds:.0f} s")
    return store.stage("replays", name).commit({"model": register.key(cfg)}, inputs(cfg), figures)


def events_of(cfg: Config) -> pa.Table:
    """The events that are replayed, in the order in which they have happened and are known."""
    validated = validate.run(cfg)
    if cfg.data.split.kind == "time":
        start = dt.date.fromisoformat(str(cfg.replay.start))
        chosen = protocol.between(cfg.data.event_time, start, cfg.replay.days)
    else:
        held_out = snapshots.read(featurize.run(cfg), [cfg.data.id], pc.field("part") == "test")[cfg.data.id]
        chosen = pc.field(cfg.data.id).isin(held_out.unique())
    versions = Versions.of(cfg.data)
    events = versions.events(versions.read(validated, chosen)) if versions else snapshots.read(validated, rows=chosen)
    return _in_order(cfg, events)


def _in_order(cfg: Config, events: pa.Table) -> pa.Table:
    keys = pa.table([_sent(cfg, events), events[cfg.data.event_time], events[cfg.data.id]], ["sent", "time", "id"])
    return events.take(pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]))


def _sent(cfg: Config, events: pa.Table) -> Ints:
    """When each event goes out, in us: it must have happened, and be known."""
    return np.maximum(micros(events[cfg.data.event_time]), micros(events[known_time_column(cfg.data)]))


def span(cfg: Config, events: pa.Table) -> tuple[dt.datetime, dt.datetime]:
    """The first and the last event time."""
    times = pc.min_max(events[cfg.data.event_time])
    return times["min"].as_py(), times["max"].as_py()


def clock(cfg: Config, events: pa.Table) -> tuple[dt.datetime, dt.datetime]:
    """From when on labels are news to the endpoint, whose history ends at the midnight before, and until when."""
    first, last = span(cfg, events)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - dt.timedelta(microseconds=1) if cfg.replay.start else first), last


def told_labels(cfg: Config, after: dt.datetime, until: dt.datetime) -> pa.Table:
    """What the source's ledger learns in a span of time, in the order in which it does."""
    rows = labels.read(Store(cfg.storage.root), ingest.key(cfg), known_at=until, channel="source")
    late = rows.filter(pc.greater(rows["known_time"], pa.scalar(after, labels.TIME)))
    return late.sort_by([("known_time", "ascending"), (cfg.data.id, "ascending")])


def positives_by_day(cfg: Config, start: dt.datetime, first: dt.datetime) -> dict[Any, dt.datetime]:
    """For each entity with a positive event in the weeks before a replay, from when on it is known and left out.

    As in the protocol: a positive of the training week counts from the first replayed day, one of the days after it
    from the day that is `delay_days` later plus one.
    """
    split, entity = cfg.data.split, str(cfg.data.split.exclude_known)
    chosen = (pc.field("label") == 1) & (pc.field(cfg.data.event_time) >= pa.scalar(start, labels.TIME))
    rows = snapshots.read(featurize.run(cfg), [cfg.data.event_time, entity], chosen).sort_by(cfg.data.event_time)
    known: dict[Any, dt.datetime] = {}
    for value, at in zip(rows[entity].to_pylist(), rows[cfg.data.event_time].to_pylist(), strict=True):
        day = at.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(split.delay_days + 1)
        known.setdefault(value, max(day, first))
    return known


async def tell(cfg: Config, session: aiohttp.ClientSession, url: str, rows: pa.Table) -> int:
    """Send labels to the endpoint, a thousand a call; returns how many it took."""
    accepted = 0
    for start in range(0, rows.num_rows, LABELS_PER_CALL):
        part = rows.slice(start, LABELS_PER_CALL).select([cfg.data.id, "label", "known_time", "scenario"]).to_pylist()
        body = json.dumps({"labels": part}, default=_text)
        async with session.post(f"{url}/v1/feedback", data=body) as response:
            if response.status != 200:
                raise EnvironmentFault(
                    f"{url}/v1/feedback answered {response.status} to {len(part)} labels. See its log."
                )
            accepted += (await response.json())["accepted"]
    return accepted


@contextlib.asynccontextmanager
async def client(cfg: Config, endpoint: Live) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the key and as many connections as configured; raises `EnvironmentFault` when it breaks off."""
    headers = {"authorization": f"Bearer {endpoint.api_key}", "content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=cfg.replay.connections)
    try:
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            yield session
    except (aiohttp.ClientError, TimeoutError) as error:
        raise EnvironmentFault(
            f"{endpoint.url} broke off ({type(error).__name__}). See Ray Serve's logs, then run the same command again."
        ) from error


async def _replay(cfg: Config, endpoint: Live, events: pa.Table, told: pa.Table) -> Outcome:
    outcome, until = Outcome(), time.monotonic() + cfg.replay.time_limit_s
    async with client(cfg, endpoint) as session:
        for rows, learned in steps(cfg, events, told):
            outcome.labels += await tell(cfg, session, endpoint.url, learned)
            lanes = _lanes(cfg, rows)
            url = f"{endpoint.url}/v1/score"
            await asyncio.gather(*(_lane(session, url, bodies, outcome, until) for bodies in lanes if bodies))
    return outcome


async def _lane(session: aiohttp.ClientSession, url: str, bodies: list[bytes], outcome: Outcome, until: float) -> None:
    for body in bodies:
        started = time.perf_counter()
        if time.monotonic() > until:
            return
        outcome.asked += 1
        headers = {
            "x-request-id": f"{outcome.run}{outcome.asked}",
            "x-score-again": "true",
        }  # another version was asked
        async with session.post(url, data=body, headers=headers) as response:
            answer = await response.read()
        if response.status == 422 and not outcome.refused:
            faults = json.loads(answer)["error"]["faults"]
            outcome.refused = "; ".join(f"{one['field']}: {one['rule']}" for one in faults)
        outcome.latencies_ms.append((time.perf_counter() - started) * 1000)
        outcome.statuses[response.status] = outcome.statuses.get(response.status, 0) + 1


def steps(cfg: Config, events: pa.Table, told: pa.Table) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The data's clock in steps: the events of each, and the labels that are told before them.

    A label told early in its step does no harm: features look at its known time, not at when it arrived. One that is
    known before its event was sent follows it a step later, the last of all after all events.
    """
    step_us, begin = _step(cfg) // dt.timedelta(microseconds=1), clock(cfg, events)[0]
    begin_us = pa.scalar(begin, labels.TIME).cast(pa.int64()).as_py()
    sent_in = (_sent(cfg, events) - begin_us) // step_us
    known_in = (micros(told["known_time"]) - begin_us) // step_us
    told_in = np.maximum(known_in, _after_their_events(cfg, events, told, sent_in))
    for number in range(int(max(sent_in.max(initial=0), told_in.max(initial=0))) + 1):
        yield events.filter(pa.array(sent_in == number)), told.filter(pa.array(told_in == number))


def _after_their_events(cfg: Config, events: pa.Table, told: pa.Table, sent_in: Ints) -> Ints:
    """The step after that of each label's event; 0 where the event is not replayed, but history."""
    place = pc.index_in(told[cfg.data.id], value_set=events[cfg.data.id].combine_chunks())
    return pc.fill_null(pa.array(sent_in + 1).take(place.combine_chunks()), 0).to_numpy()


def bodies(cfg: Config, rows: pa.Table) -> list[bytes]:
    """The request bodies of some events."""
    listed = rows.select(list(asked_columns(cfg.data))).to_pylist()
    return [json.dumps(row, default=_text).encode() for row in listed]


def _lanes(cfg: Config, rows: pa.Table) -> list[list[bytes]]:
    """Bodies per connection. Events that see each other take one lane, so that they arrive in their order."""
    by = _seen_by(cfg)
    lanes: list[list[bytes]] = [[] for _ in range(cfg.replay.connections if by else 1)]
    for value, body in zip(rows[by or cfg.data.id].to_pylist(), bodies(cfg, rows), strict=True):
        lanes[zlib.crc32(str(value).encode()) % len(lanes)].append(body)
    return lanes


def _seen_by(cfg: Config) -> str | None:
    """A column in which events of one step agree when one may see the other; None when there is no single one."""
    step_us, features = _step(cfg) // dt.timedelta(microseconds=1), FeatureSet.of(cfg.features, cfg.data).features
    seen = [set(one.entity) for one in features if one.windowed and one.delay_us < step_us]
    return min(set.intersection(*seen) if seen else {cfg.data.id}, default=None)


def _step(cfg: Config) -> dt.timedelta:
    """At most the label delay, so that no label of a step's own events is told before it."""
    return min(STEP, dt.timedelta(cfg.data.label.delay_days) or STEP)


def _text(value: Any) -> str:
    return str(value.isoformat())


def _check(cfg: Config, events: pa.Table, outcome: Outcome, seconds: float) -> None:
    good = outcome.statuses.get(200, 0)
    if refused := outcome.statuses.get(422):
        raise EnvironmentFault(
            f"{refused:,} of {events.num_rows:,} events were refused with 422, the first by {outcome.refused}. The"
            " endpoint's schema (/openapi.json) does not take them: hold the data to it by its contract (data.columns,"
            " then validate again); where events lie far ahead of the others raise serve.ahead_days."
        )
    if good != events.num_rows:
        raise EnvironmentFault(
            f"{good:,} of {events.num_rows:,} events were answered in {seconds:.0f} s (statuses {outcome.statuses});"
            f" replay.time_limit_s={cfg.replay.time_limit_s:g}. Raise it, or replay less: replay.days=1."
        )


if __name__ == "__main__":
    door.main(run, __doc__)
