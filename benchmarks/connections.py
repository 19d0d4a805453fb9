"""Connections to one URL, each with one request at a time, for open loops.

They cost a request a tenth of what a whole HTTP client does: whoever asks shares the machine with what is asked, and
must not be what it waits for.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self
from urllib.parse import urlsplit

TICK_S = 0.002
AGAIN_S = 0.01  # before another one is opened for one that broke


class Connections:
    """So many, of which one that breaks is followed by another; `answered` is told number and status, 0: none came."""

    def __init__(self, url: str, key: str, count: int, answered: Callable[[int, int], None]) -> None:
        self._where, self._count, self.answered = urlsplit(url), count, answered
        first = f"POST {self._where.path} HTTP/1.1\r\nhost: {self._where.netloc}\r\n"
        self._head = f"{first}content-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: "
        self.free, self.there, self.ended = list[Connection](), set[Connection](), False
        self._again = set[asyncio.Task[None]]()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """All of them, as long as the block."""
        await asyncio.gather(*(self._connect() for _ in range(self._count)))
        try:
            yield self
        finally:
            self.ended = True
            for task in self._again:
                task.cancel()
            for one in [*self.there]:
                one.transport.abort()
            while self.there or self._again:
                await asyncio.sleep(TICK_S)

    @property
    def dead(self) -> bool:
        """Whether nobody has listened at all."""
        return not (self.there or self._again)

    def ask(self, number: int, body: bytes) -> None:
        """Send a request on a free connection, the one that was used last: it is the warmest."""
        self.free.pop().ask(number, f"{self._head}{len(body)}\r\n\r\n".encode() + body)

    def replace(self) -> None:
        """Open another one for one that broke."""
        if not self.ended:
            task = asyncio.ensure_future(self._replaced())
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    async def _replaced(self) -> None:
        """One more, as soon as somebody listens."""
        while True:
            await asyncio.sleep(AGAIN_S)
            if await self._connect():
                break

    async def _connect(self) -> bool:
        """One more, free; none where nobody listens."""
        secure = self._where.scheme == "https"
        host, port = str(self._where.hostname), self._where.port or (443 if secure else 80)
        loop, tls = asyncio.get_running_loop(), True if secure else None
        try:
            await loop.create_connection(lambda: Connection(self), host, port, ssl=tls)
        except OSError:
            return False
        return True


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, among: Connections) -> None:
        self._among, self._asked, self._got = among, -1, b""

    def connection_made(self, transport: Any) -> None:
        """It can be used."""
        self.transport = transport
        self._among.there.add(self)
        self._among.free.append(self)
        if self._among.ended:
            transport.abort()

    def ask(self, number: int, request: bytes) -> None:
        """Send a request."""
        self._asked, self._got = number, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer; after its last one the connection is free again."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if end and self._asked >= 0 and _whole(fields := _fields(head), body):
            number, self._asked = self._asked, -1
            if fields.get(b"connection") == b"close":
                self.transport.abort()
            else:
                self._among.free.append(self)
            self._among.answered(number, int(head[9:12]))

    def connection_lost(self, _: Exception | None) -> None:
        """Another one takes its place; what was under way has no answer."""
        if self in self._among.free:
            self._among.free.remove(self)
        self._among.there.discard(self)
        self._among.replace()
        if self._asked >= 0:
            self._among.answered(self._asked, 0)


def _fields(head: bytes) -> dict[bytes, bytes]:
    """The headers, in small letters."""
    named = (line.lower().partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip(): value.strip() for name, _, value in named}


def _whole(fields: dict[bytes, bytes], body: bytes) -> bool:
    if fields.get(b"transfer-encoding") == b"chunked":
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(fields.get(b"content-length", b"0"))


async def until(done: Callable[[], bool], timeout_s: float) -> None:
    """Return when something is so, or after the time."""
    end = time.perf_counter() + timeout_s
    while not done() and time.perf_counter() < end:
        await asyncio.sleep(TICK_S)
