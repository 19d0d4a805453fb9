"""An open loop that costs little: requests are due at a rate, and go out on whichever of many connections is free.

Each connection has one request at a time. Where none is free, what is due waits here and is counted: a server that
answers more slowly than is asked cannot slow the asking down, only leave it unanswered.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TICK_S, END_S = 0.002, 10.0


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
    """The connections to one URL."""

    def __init__(self, url: str, key: str, bodies: Iterator[bytes], connections: int) -> None:
        self._where, self._bodies, self._connections = urlsplit(url), bodies, connections
        first = f"POST {self._where.path} HTTP/1.1\r\nhost: {self._where.netloc}\r\n"
        self._head = f"{first}content-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: "
        self.free, self.open = deque["Connection"](), set["Connection"]()
        self.seen, self.ended = Seen(), False

    async def send(self, rate: float, seconds: float) -> Seen:
        """Send what is due, and wait for the answers of what was sent."""
        await asyncio.gather(*(self.connect() for _ in range(self._connections)))
        sent, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds:
            due = int(rate * passed)
            while sent < due and self.free:
                self.free.popleft().ask(self._request())
                sent += 1
            await asyncio.sleep(TICK_S)
        self.seen.due, self.seen.never_sent, self.seen.seconds = due, due - sent, passed
        until = time.perf_counter() + END_S
        while self.seen.statuses.total() < sent and time.perf_counter() < until:
            await asyncio.sleep(TICK_S)
        self.ended = True
        for one in [*self.open]:
            one.transport.abort()
        while self.open:
            await asyncio.sleep(TICK_S)
        return self.seen

    async def connect(self) -> None:
        """One more connection, free; none where nobody listens any more."""
        host, port = str(self._where.hostname), int(self._where.port or 80)
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().create_connection(lambda: Connection(self), host, port)

    def _request(self) -> bytes:
        body = next(self._bodies)
        return f"{self._head}{len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, flood: Flood) -> None:
        self._flood, self._asked, self._got = flood, False, b""

    def connection_made(self, transport: Any) -> None:
        """It can be used."""
        self.transport = transport
        self._flood.open.add(self)
        self._flood.free.append(self)
        if self._flood.ended:
            transport.abort()

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self._asked, self._got = True, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer; after its last one the connection is free again."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if end and self._asked and len(body) >= _length(head):
            self._asked = False
            self._flood.seen.statuses[int(head[9:12])] += 1
            self._flood.free.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Another one takes its place; what was under way has no answer."""
        if self._asked:
            self._flood.seen.statuses[0] += 1
        if self in self._flood.free:
            self._flood.free.remove(self)
        self._flood.open.discard(self)
        if not self._flood.ended:
            self._again = asyncio.ensure_future(self._flood.connect())


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
