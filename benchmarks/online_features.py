"""Online features of one event: read and update of the state, in process and in Redis, one client, event after event.

The state holds what the payments endpoint holds before its replay (twice the horizon of 37 days), entities are tokens,
and the events are those of the replay. Peer of the state in process: a bare round trip to a local Redis that gives back
as many bytes as the features have, the least that any store behind a socket costs. Peer of the state in Redis:
ready-made features in one hash per entity, as feature stores keep them, read (HGETALL of both) and written back (HSET
of both) in one pipeline each. That peer computes no window and is not atomic. The sides take turns at each event. Redis
is one of the benchmark's own, without a disk.

    python -m benchmarks.online_features [--json FILE] [--events 5000] [KEY=VALUE ...]
"""

import contextlib
import datetime as dt
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import redis

from benchmarks import table
from benchmarks.table import Row
from workbench import cluster
from workbench.config import Config
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.features.definitions import FeatureSet
from workbench.features.online import OnlineState
from workbench.features.redis_link import PASSWORD
from workbench.features.redis_state import RedisState
from workbench.governance import tokens
from workbench.progress import say
from workloads import door, ingest, validate
from workloads.endpoint.given import history_until

WARM = 500  # events of each run that are not counted
Side = Callable[[dict[str, Any], list[float]], Any]


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--events", type=int, default=5000, help="that are measured")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        cfg = door.composed(["tracker=disabled", *arguments.overrides])
        with cluster.session():
            history, said, stream = facts(cfg, arguments.events)
        with own_redis() as url:
            rows = compared(FeatureSet.of(cfg.features, cfg.data), url, history, said, stream)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def facts(cfg: Config, count: int) -> tuple[pa.Table, pa.Table, list[dict[str, Any]]]:
    """History and labels as the endpoint loads them, and the events that come then."""
    names, until = FeatureSet.of(cfg.features, cfg.data), history_until(cfg)
    if until is None:
        raise EnvironmentFault("replay.start is not set: there is no history. Use experiment=payments.")
    times = [pa.scalar(at, pa.int64()).cast(labels.TIME) for at in (until - names.memory_us, until)]
    rows = snapshots.read(validate.run(cfg), rows=pc.field(names.event_time) >= times[0]).sort_by(names.event_time)
    rows = tokens.tokenised(rows, names.entity_columns, tokens.cached(secrets.token_bytes(32)))
    before = pc.less(rows[names.event_time], times[1])
    coming = rows.filter(pc.invert(before)).slice(0, count + WARM).to_pylist()
    for row in coming:
        row[names.event_time] = row[names.known_time] = _micros(row[names.event_time])
    said = labels.read(Store(cfg.storage.root), ingest.key(cfg), times[1].as_py())
    return rows.filter(before), said, coming


def compared(names: FeatureSet, url: str, history: pa.Table, said: pa.Table, stream: list[dict[str, Any]]) -> list[Row]:
    """The percentiles of all sides in turn; every number of both states must be equal."""
    inside, shared = OnlineState(names), RedisState(names, url, "benchmark")
    for state in (inside, shared):
        started = time.perf_counter()
        state.fill_once(lambda fresh: fresh.load(history, said))
        say(f"  {type(state).__name__}: {len(state):,} events loaded in {time.perf_counter() - started:.1f} s")
    sides: list[Side] = [lambda event, _: inside.observe(event), lambda event, _: shared.observe(event)]
    took = measured([*sides, *peers(names, url)], stream)
    rows = []
    for case, ours, peer in (("in process", 0, 2), ("in Redis", 1, 3)):
        for percent in (50, 99):
            found = [float(np.percentile(took[side, WARM:], percent)) for side in (ours, peer)]
            rows.append(Row(f"{len(names.names)} features, {case}, p{percent}", found[0], found[1], "us"))
    return rows


def measured(sides: list[Side], stream: list[dict[str, Any]]) -> np.ndarray:
    """[sides, events] microseconds."""
    took = np.zeros((len(sides), len(stream)))
    for at, event in enumerate(stream):
        answers: list[Any] = [[]]
        for number, side in enumerate(sides):
            started = time.perf_counter_ns()
            answers.append(side(event, answers[1] if number else []))
            took[number, at] = (time.perf_counter_ns() - started) / 1000
        assert answers[1] == answers[2], f"event {event}: {answers[1]} in process, {answers[2]} in Redis"
    return took


def peers(names: FeatureSet, url: str) -> list[Side]:
    """A bare round trip, and ready-made features."""
    client = redis.Redis.from_url(url, password=os.environ[PASSWORD])
    client.set("ready", struct.pack(f"{len(names.names)}d", *[1.5] * len(names.names)))
    columns = [(entity, [i for i, f in enumerate(names.features) if f.entity == entity]) for entity in names.entities]
    named = [f.name for f in names.features]

    def ready_made(event: dict[str, Any], features: list[float]) -> Any:
        keys = [":".join(event[column] for column in entity) for entity, _ in columns]
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        found = [{name: float(value) for name, value in one.items()} for one in pipe.execute()]
        for key, (_, places) in zip(keys, columns, strict=True):
            pipe.hset(key, mapping={named[i]: features[i] for i in places})
        pipe.execute()
        return found

    return [lambda *_: client.get("ready"), ready_made]


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """A Redis on a free port of loopback, behind a password, as long as the block."""
    if not (binary := shutil.which("redis-server")):
        raise EnvironmentFault("redis-server is not installed. Run: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ[PASSWORD] = secrets.token_hex(16)
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--requirepass", os.environ[PASSWORD]], stdout=subprocess.DEVNULL)
    try:
        _wait(redis.Redis(port=port, password=os.environ[PASSWORD]))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _wait(client: redis.Redis, timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > until:
                raise EnvironmentFault(f"redis-server did not start within {timeout_s:g} s.") from None
            time.sleep(0.05)


def _micros(time: dt.datetime) -> int:
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


if __name__ == "__main__":
    main()
