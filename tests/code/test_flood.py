"""The open loop of many connections sends what is due, and says what it could not send and what was not answered."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from benchmarks import serving_peers
from benchmarks.flood import Flood, Seen
from workbench.errors import EnvironmentFault

Answer = Callable[[int], bytes]


def said(status: str, body: bytes = b"{}") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def server(answer: Answer, got: list[bytes], pause_s: float = 0.0) -> AsyncIterator[str]:
    """An HTTP server that answers its n-th request with `answer(n)`; nothing: it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                got.append(head + await reader.readexactly(int(head.rpartition(b"content-length: ")[2])))
                await asyncio.sleep(pause_s)
                if not (content := answer(len(got))):
                    break
                writer.write(content[:20])
                await asyncio.sleep(0.001)  # an answer may come in parts
                writer.write(content[20:])
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}/v1/score"
    made.close()


async def flooded(answer: Answer, got: list[bytes], connections: int, pause_s: float = 0.0) -> Seen:
    bodies = (b'{"n":%d}' % n for n in itertools.count())
    async with server(answer, got, pause_s) as url:
        return await Flood(url, "wb_k", bodies, connections).send(200, 0.25)


async def test_each_body_is_sent_once_and_its_status_counted() -> None:
    got: list[bytes] = []
    seen = await flooded(lambda n: said("503 Busy" if n % 5 == 0 else "200 OK"), got, connections=20)
    sent = len(got)
    assert (seen.never_sent, seen.due) == (0, sent)
    assert 35 < sent <= 50
    assert seen.statuses == {200: sent - sent // 5, 503: sent // 5}
    assert sorted(request.rpartition(b"\r\n")[2] for request in got) == sorted(b'{"n":%d}' % n for n in range(sent))
    assert all(b"authorization: Bearer wb_k\r\n" in request for request in got)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_a_server_may_close_after_an_answer_or_send_it_in_chunks(answer: bytes) -> None:
    got: list[bytes] = []
    seen = await flooded(lambda _: answer, got, connections=20)
    assert len(got) > 35
    assert seen.statuses == {200: len(got)}


async def test_a_slow_server_leaves_what_is_due_unsent_and_does_not_slow_the_asking() -> None:
    seen = await flooded(lambda _: said("200 OK"), [], connections=2, pause_s=0.05)
    assert seen.statuses.total() <= 12, "two connections, each with one request at a time"
    assert seen.never_sent == seen.due - seen.statuses.total() > 20
    assert seen.served_per_s == pytest.approx(seen.statuses[200] / seen.seconds)


async def test_a_connection_that_breaks_is_counted_and_replaced() -> None:
    got: list[bytes] = []
    seen = await flooded(lambda n: b"" if n == 3 else said("200 OK"), got, connections=1)
    assert seen.statuses[0] == 1
    assert seen.statuses[200] == len(got) - 1 > 10


def test_a_peer_that_is_none_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match="--peers triton=/usr/bin/python is none"):
        serving_peers.named(["triton=/usr/bin/python"])
    with pytest.raises(EnvironmentFault, match="bentoml=/nowhere is none"):
        serving_peers.named(["bentoml=/nowhere"])
    assert list(serving_peers.named([])) == ["twin"]
