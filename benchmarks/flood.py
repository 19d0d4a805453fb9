"""An open loop that costs little: requests are due at a rate, and go out on whichever of many connections is free.

Each connection has one request at a time. Where none is free, what is due waits here and is counted: a server that
answers more slowly than is asked cannot slow the asking down, only leave it unanswered.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.connections import TICK_S, Connections, until

END_S = 10.0


@dataclass
class Seen:
    """What came of it."""

    due: int = 0
    statuses: Counter[int] = field(default_factory=Counter)  # 0: the connection broke before there was an answer
    never_sent: int = 0  # due, and no connection was free to the end
    seconds: float = 0.0

    @property
    def served_per_s(self) -> float:
        """Decisions a second."""
        return self.statuses[200] / self.seconds


class Flood:
    """The load on one URL."""

    def __init__(self, url: str, key: str, bodies: Iterator[bytes], connections: int) -> None:
        self._bodies, self.seen = bodies, Seen()
        self._connections = Connections(url, key, connections, self._answered)

    async def send(self, rate: float, seconds: float) -> Seen:
        """Send what is due, and wait for the answers of what was sent."""
        async with self._connections.opened() as to:
            sent, started = 0, time.perf_counter()
            while (passed := time.perf_counter() - started) < seconds:
                due = int(rate * passed)
                while sent < due and to.free:
                    to.ask(sent, next(self._bodies))
                    sent += 1
                await asyncio.sleep(TICK_S)
            self.seen.due, self.seen.never_sent, self.seen.seconds = due, due - sent, passed
            await until(lambda: self.seen.statuses.total() >= sent, END_S)
        return self.seen

    def _answered(self, _: int, status: int) -> None:
        self.seen.statuses[status] += 1
