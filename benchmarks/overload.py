"""Does an endpoint that is asked for more than it can answer go on answering, and is it well again at once?

For a minute twice as many requests a second are due as it can answer, in an open loop on 640 connections (`flood.py`),
and for another wrk asks on 640 connections. What it can answer is measured before and after each, by wrk on 64, and is
the mean of both: a shared machine's own speed changes. Meanwhile the memory of the endpoint's processes is looked at,
and afterwards how long it takes until one request after the other is answered quickly again.

    python -m benchmarks.overload [--seconds 60] [--connections 640] [--json FILE] [KEY=VALUE ...]
"""

import contextlib
import datetime as dt
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from benchmarks import apart, serving, table, wrk
from benchmarks.flood import Flood
from benchmarks.serving_fresh import Fresh
from benchmarks.table import Row
from benchmarks.usage import command, tree
from workbench.config import Config
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workloads import door
from workloads.endpoint.live import live

WARM_S, CAPACITY_S, QUICK_MS, RUN, LOOK_EVERY_S = 2.0, 15.0, 20.0, 20, 0.5
ASKED_SHARE, ASKED_RECOVERY_S, ASKED_GROWTH = 0.8, 5.0, 1.5
PROCESSES = (b"ray::ServeReplica", b"ray::HAProxyManager", b"haproxy\0-")
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Overload, and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each overload")
    parser.add_argument("--connections", type=int, default=640)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        cfg = apart.configured(arguments.overrides)
        with apart.prepared(cfg) as folder:
            rows = overloaded(cfg, folder, arguments.seconds, arguments.connections)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def overloaded(cfg: Config, folder: Path, seconds: float, connections: int) -> list[Row]:
    """Rows of the open and of the closed loop."""
    events = twice(cfg, serving.events(cfg)[0])
    sent = wrk.write_bodies(folder / "ours.jsonl", events)
    with live(cfg) as endpoint:
        measure = Fresh(f"{endpoint.url}/v1/score", sent, WARM_S, endpoint.api_key)
        measure(1)
        before = capacity(measure)
        with watched() as memory:
            flood = Flood(measure.url, endpoint.api_key, iter(events[measure.sent :]), connections)
            seen = uvloop.run(flood.send(2 * before, seconds))
        measure.count(seen.statuses.total())
        say(f"  {seen.due:,} due; {dict(seen.statuses)}; {seen.never_sent:,} found no free connection")
        odd = sum(count for status, count in seen.statuses.items() if status not in (200, 503))
        recovery_s = recovered(measure)
        between = capacity(measure)
        share = seen.served_per_s / statistics.fmean((before, between))
        rows = _rows(f"open loop, {2 * before:.0f}/s", share, odd, memory, recovery_s)
        measure.seconds = seconds
        with watched() as memory:
            again = measure(connections, strict=False)
        say(f"  {again.requests:,} answered, {again.refused:,} of them refused; {again.failed:,} got no answer in 10 s")
        recovery_s = recovered(measure)
        served = (again.requests - again.refused) / again.seconds
        share = served / statistics.fmean((between, capacity(measure)))
        return [*rows, *_rows(f"closed loop, {connections} connections", share, again.failed, memory, recovery_s)]


def twice(cfg: Config, events: list[bytes]) -> list[bytes]:
    """The events, and after them the same once more as other ones, as many days later."""
    first, last = (msgspec.json.decode(one) for one in (events[0], events[-1]))
    begin, end = (dt.datetime.fromisoformat(one[cfg.data.event_time]) for one in (first, last))
    ids = [msgspec.json.decode(one)[cfg.data.id] for one in events]
    beyond, later = (max(ids) + 1 if isinstance(ids[0], int) else "+"), []
    for one in map(msgspec.json.decode, events):
        time_of = dt.datetime.fromisoformat(one[cfg.data.event_time]) + (end - begin)
        identity = one[cfg.data.id] + beyond
        later.append(msgspec.json.encode({**one, cfg.data.id: identity, cfg.data.event_time: time_of.isoformat()}))
    return [*events, *later]


def capacity(measure: Fresh) -> float:
    """Requests a second on 64 connections; before and after an overload, since a shared machine's own differs."""
    measure.seconds = CAPACITY_S
    found = measure(64).requests_per_s
    say(f"  capacity: {found:.0f} requests/s on 64 connections")
    return found


def _rows(case: str, share: float, odd: int, memory: "Memory", recovery_s: float) -> list[Row]:
    return [
        Row(f"served, {case}", share, ASKED_SHARE, "of capacity (peer: asked)"),
        Row(f"neither 200 nor 503, {case}", odd, 1, "requests (peer: one)"),
        Row(f"memory, {case}", memory.most / memory.before, ASKED_GROWTH, "of what it was (peer: bound)"),
        Row(f"well again, {case}", recovery_s, ASKED_RECOVERY_S, "s (peer: asked)"),
    ]


def recovered(measure: Fresh, timeout_s: float = 60) -> float:
    """Seconds until so many requests in a row begin that are each answered quickly."""
    ended = begun = time.monotonic()
    quick = 0
    while quick < RUN and time.monotonic() - ended < timeout_s:
        quick = quick + 1 if _quick(measure) else 0
        begun = begun if quick else time.monotonic()
    return begun - ended


def _quick(measure: Fresh) -> bool:
    """Whether one request is decided, and quickly."""
    try:
        (took_ms,) = measure.due(1000, 0.001)
    except EnvironmentFault:  # a refusal
        return False
    return bool(took_ms < QUICK_MS)


@dataclass
class Memory:
    """Bytes of the endpoint's processes."""

    before: int
    most: int


@contextlib.contextmanager
def watched() -> Iterator[Memory]:
    """The most memory that was seen while the block lasts."""
    pids = [pid for pid in tree(os.getpid()) if any(name in command(pid) for name in PROCESSES)]
    ended, memory = threading.Event(), Memory(_bytes(pids), 0)

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            memory.most = max(memory.most, _bytes(pids))

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def _bytes(pids: Sequence[int]) -> int:
    """The resident memory of some processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return total


if __name__ == "__main__":
    main()
