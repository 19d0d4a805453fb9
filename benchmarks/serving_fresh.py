"""Measurements of one server that never send it the same event twice."""

from pathlib import Path

import numpy as np
import uvloop

from benchmarks import load, wrk
from benchmarks.wrk import Seen
from workbench.errors import EnvironmentFault

REFUSED_MS = 60_000.0


class Fresh:
    """Measurements that go on where the last one ended: a repeated event is other work, its answer is looked up."""

    def __init__(self, url: str, bodies: Path, seconds: float, key: str | None = None) -> None:
        self.url, self.bodies, self.seconds, self.key = url, bodies, seconds, key
        self.sent, self.lines = 0, bodies.read_bytes().splitlines()

    def __call__(self, connections: int, strict: bool = True) -> Seen:
        """What was seen at a number of connections; see `wrk.run`."""
        seen = wrk.run(self.url, self.bodies, connections, self.seconds, self.sent, self.key, strict)
        self.count(seen.requests + seen.failed + connections + 1)  # those under way at the end, and wrk's look at one
        return seen

    def due(self, rate: float, seconds: float) -> load.Floats:
        """The latencies in ms of requests that are due evenly, whatever the server does; refused: a minute."""
        due_N = load.due_times(rate, seconds, "even")
        seen = uvloop.run(load.replayed(self.url, self.key or "none", self.next(len(due_N)), due_N))
        if not seen.counts.get(200):
            raise EnvironmentFault(f"{self.url} answered {len(due_N):,} requests with {seen.counts}.")
        return np.where(seen.status_N == 200, seen.latency_ms, REFUSED_MS)

    def next(self, count: int) -> list[bytes]:
        """So many bodies, to be sent."""
        first = self.sent
        self.count(count)
        return [self.lines[number % len(self.lines)] for number in range(first, self.sent)]

    def count(self, sent: int) -> None:
        """So many more were sent; raises `EnvironmentFault` where there are not so many. To the peers all are new."""
        self.sent += sent
        if self.key and self.sent > len(self.lines):
            raise EnvironmentFault(
                f"All {len(self.lines):,} events of the replay were sent. Measure for fewer seconds."
            )
