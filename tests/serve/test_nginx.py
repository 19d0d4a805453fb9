"""nginx in front: TLS only, certificates of clients where they are wanted, and one shape whoever it is that answers."""

import asyncio
import contextlib
import io
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from serve.answers import HEADERS
from tests.loop import commands
from tests.serve import nginx_server
from tests.serve.conftest import Live
from tests.serve.nginx_server import Authority, Front, needs_nginx
from tests.serve.small import API_KEY, EVENT

pytestmark = needs_nginx
KEY = {"authorization": f"Bearer {API_KEY}"}
FIXED = b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n%b\r\n%b"


def answer(line: str, body: bytes, header: bytes = b"") -> bytes:
    return f"HTTP/1.1 {line}\r\n".encode() + FIXED % (len(body), header, body)


OURS = b"X-Content-Type-Options: nosniff\r\n"
# What HAProxy and Serve answer themselves, and what the client gets; then ours with the same statuses.
UPSTREAM: dict[str, tuple[bytes, int, str, str | None]] = {
    "HAProxy for 502, 503, 504": (
        answer("500 Internal Server Error", b"Internal Server Error"), 503, "not_ready", "5",
    ),
    "Serve, too many wait": (answer("503 Service Unavailable", b"Request dropped"), 503, "not_ready", "5"),
    "a gateway's own": (answer("502 Bad Gateway", b"<html>SECRET</html>"), 503, "not_ready", "5"),
    "a gateway's time-out": (answer("504 Gateway Timeout", b""), 503, "not_ready", "5"),
    "nothing": (b"", 503, "not_ready", "5"),
    "ours, failed": (answer("500 Internal Server Error", b"{}", OURS), 500, "internal", None),
    "ours, away": (answer("503 Service Unavailable", b"{}", OURS + b"Retry-After: 7\r\n"), 503, "not_ready", "7"),
    "ours, too many": (answer("429 Too Many", b"{}", OURS + b"Retry-After: 3\r\n"), 429, "too_many_requests", "3"),
    "ours, too large": (answer("413 Too Large", b"{}", OURS), 413, "too_large", None),
}  # fmt: skip


def check(
    response: aiohttp.ClientResponse, body: dict[str, Any], status: int, code: str, again: str | None = None
) -> None:
    """One shape, every header once, and nothing of what an upstream said."""
    assert response.status == status
    error = body["error"]
    assert (set(body), set(error)) == ({"error"}, {"code", "message", "request_id", "faults"})
    assert (error["code"], error["request_id"]) == (code, response.headers["x-request-id"])
    for name, value in HEADERS.items():
        assert response.headers.getall(name) == [value]
    assert response.headers.getall("strict-transport-security") == ["max-age=31536000"]
    assert response.headers.get("retry-after") == again
    assert response.content_type == "application/json"
    assert "SECRET" not in json.dumps(body) + str(response.headers)
    assert "nginx/" not in str(response.headers)


class Playing:
    """An upstream that answers every request with the bytes that it is told."""

    def __init__(self) -> None:
        self.says, self.heard = b"", b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client, _ = self._listening.accept()
                with client:
                    self.heard = client.recv(65_536)
                    client.sendall(self.says)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Playing]:
    playing = Playing()
    yield playing
    playing.close()


@pytest.fixture(scope="module")
def front(upstream: Playing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with nginx_server.running(tmp_path_factory.mktemp("nginx") / "front", upstream.port) as one:
        yield one


async def asked(front: Front, path: str = "/v1/score", method: str = "POST", **more: Any) -> tuple[Any, dict[str, Any]]:
    certificate = more.pop("certificate", None)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, front.url + path, ssl=front.context(certificate), **more) as response,
    ):
        return response, json.loads(await response.read())


@pytest.mark.parametrize("case", UPSTREAM)
async def test_what_others_answer_comes_in_our_shape(front: Front, upstream: Playing, case: str) -> None:
    upstream.says, status, code, again = UPSTREAM[case]
    response, body = await asked(
        front, json=EVENT, headers={**KEY, "x-request-id": "asked-1", "x-request-timeout-seconds": "1"}
    )
    check(response, body, status, code, again)
    assert body["error"]["request_id"] == "asked-1"
    assert b"x-request-id: asked-1" in upstream.heard.lower()
    assert b"timeout-seconds" not in upstream.heard.lower()


async def test_what_is_right_passes_as_it_is_with_every_header_once(front: Front, upstream: Playing) -> None:
    doubled = b"".join(f"{name}: {value}\r\n".encode() for name, value in HEADERS.items())
    upstream.says = answer("200 OK", b'{"score": 0.5}', doubled + b"X-Request-ID: a\r\nX-Request-ID: a\r\n")
    response, body = await asked(front, json=EVENT, headers={"x-request-id": "SECRET SECRET"})
    assert (response.status, body) == (200, {"score": 0.5})
    assert all(response.headers.getall(name) == [value] for name, value in HEADERS.items())
    assert len(response.headers.getall("x-request-id")[0]) == 32, "an odd id is replaced"
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415, 422])
async def test_a_refusal_of_ours_passes_word_for_word(front: Front, upstream: Playing, status: int) -> None:
    upstream.says = answer(f"{status} X", b'{"error": "ours"}', OURS)
    response, body = await asked(front, json=EVENT)
    assert (response.status, body) == (status, {"error": "ours"})


async def test_serves_own_pages_are_not_shown(front: Front, upstream: Playing) -> None:
    upstream.says = answer("200 OK", b"SECRET")
    for path in ("/-/routes", "/-/healthz", "/errors/malformed"):
        response, body = await asked(front, path, "GET")
        check(response, body, 404, "no_such_route")


async def test_a_body_beyond_all_limits_is_refused_before_it_is_sent_on(front: Front, upstream: Playing) -> None:
    upstream.heard = b""
    response, body = await asked(front, data=io.BytesIO(b" " * 4_194_305), headers={"content-type": "application/json"})
    check(response, body, 413, "too_large")
    assert upstream.heard == b""


def spoken(front: Front, text: bytes, tls: bool = True) -> tuple[int, dict[str, Any]]:
    """The status and body that raw bytes get."""
    with contextlib.ExitStack() as stack:
        client: socket.socket = stack.enter_context(socket.create_connection(("127.0.0.1", front.port), timeout=20))
        if tls:
            client = stack.enter_context(front.context().wrap_socket(client, server_hostname="localhost"))
        found = b""
        with contextlib.suppress(OSError):  # it need not hear all of it
            client.sendall(text)
        with contextlib.suppress(OSError):
            while part := client.recv(65_536):
                found += part
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


MALFORMED = {
    "no method": b"SECRET\0 / HTTP/1.1\r\nhost: a\r\n\r\n",
    "odd header": b"GET / HTTP/1.1\r\nhost: a\r\nSECRET\0: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    "headers without end": b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a: " + b"SECRET" * 3_000 + b"\r\n\r\n",
    "path without end": b"GET /" + b"SECRET" * 3_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_is_refused_in_our_shape(front: Front, text: bytes) -> None:
    status, body = spoken(front, text)
    assert (status, body["error"]["code"]) == (400, "bad_request")
    assert "SECRET" not in json.dumps(body)


def test_without_tls_nothing_is_answered_but_a_refusal(front: Front) -> None:
    status, body = spoken(front, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", tls=False)
    assert (status, body["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_http_2_over_tls_that_is_not_old(front: Front, version: ssl.TLSVersion) -> None:
    context = front.context()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", front.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        assert client.selected_alpn_protocol() == "h2"


async def test_neither_paths_nor_keys_are_in_its_access_log(front: Front, upstream: Playing) -> None:
    upstream.says = answer("200 OK", b"{}")
    await asked(
        front, "/v1/decisions/SECRET", "GET", headers={"authorization": "Bearer SECRET", "x-request-id": "said"}
    )
    log = front.folder / "access.log"
    assert commands.wait_until(lambda: '"request_id":"said"' in log.read_text(), 5)
    assert "SECRET" not in log.read_text()


async def test_more_requests_than_a_replica_is_good_for_are_refused(tmp_path: Path) -> None:
    fewer = {"max_conns=1000;": "max_conns=1;"}
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        nginx_server.running(tmp_path / "front", silent.getsockname()[1], instead=fewer) as front,
    ):
        first = asyncio.ensure_future(asked(front, json=EVENT))
        silent.settimeout(20)
        held, _ = await asyncio.to_thread(silent.accept)
        response, body = await asked(front, json=EVENT)
        check(response, body, 503, "not_ready", "5")
        assert not first.done()
        first.cancel()
        held.close()


class TestMutual:
    """Where clients must show certificates."""

    @pytest.fixture
    def clients(self, tmp_path: Path) -> Authority:
        return Authority.made(tmp_path, "clients")

    async def test_only_a_client_of_that_authority_is_heard(
        self, clients: Authority, upstream: Playing, tmp_path: Path
    ) -> None:
        upstream.says = answer("200 OK", b"{}")
        other = Authority.made(tmp_path, "others").issue("stranger")
        with nginx_server.running(tmp_path / "mutual", upstream.port, clients.path) as front:
            assert (await asked(front, json=EVENT, certificate=clients.issue("shop")))[0].status == 200
            for certificate in (None, other):
                response, body = await asked(front, json=EVENT, certificate=certificate)
                check(response, body, 401, "no_valid_key")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
async def test_the_real_endpoint_answers_through_it(live: Live, tmp_path: Path) -> None:
    with nginx_server.running(tmp_path / "real", live.port) as front:
        response, body = await asked(front, json={**EVENT, "id": 800}, headers={**KEY, "x-request-id": "through"})
        assert (response.status, body["request_id"], response.headers.getall("x-request-id")) == (
            200, "through", ["through"],
        )  # fmt: skip
        assert all(response.headers.getall(name) == [value] for name, value in HEADERS.items())
        response, body = await asked(front, json=EVENT, headers={"authorization": "Bearer wb_SECRET"})
        check(response, body, 401, "no_valid_key")
        response, body = await asked(front, json={**EVENT, "SECRET": 1}, headers=KEY)
        check(response, body, 422, "invalid")
        command = ["curl", "-sS", "--http2", "--cacert", str(front.authority), f"{front.url}/healthz"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20, check=True)
        assert json.loads(done.stdout) == {"status": "ok"}
