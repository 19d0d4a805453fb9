"""The same endpoint over real HTTP: Ray Serve behind HAProxy on a port of its own."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from serve.answers import HEADERS
from tests.loop import commands
from tests.serve import sockets
from tests.serve.conftest import Live
from tests.serve.small import API_KEY, EVENT
from workbench.data.store import Store
from workbench.feedback import prediction_log
from workbench.governance.api_keys import Register
from workbench.governance.keys import api_key_digest
from workloads import replay
from workloads.endpoint import asking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
JSON = {"content-type": "application/json"}
KEY = {"authorization": f"Bearer {API_KEY}", **JSON}


@pytest.fixture
async def client(live: Live) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{live.port}", connector=connector) as session:
        await ready(session)
        yield session


async def ready(session: aiohttp.ClientSession, timeout_s: float = 60) -> dict[str, Any]:
    """What /readyz says, once it says it."""
    until = time.monotonic() + timeout_s
    while True:
        async with session.get("/readyz") as response:
            if response.status == 200:
                found: dict[str, Any] = await response.json()
                return found
        assert time.monotonic() < until, "not ready in time"
        await asyncio.sleep(0.1)


async def check_refusal(response: aiohttp.ClientResponse, status: int, code: str) -> None:
    error = (await response.json())["error"]
    assert (response.status, error["code"]) == (status, code)
    assert error["request_id"] == response.headers["x-request-id"]
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


async def test_it_lives_and_is_ready(client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    found = await ready(client)
    assert (found["status"], found["application"], found["model_version"]) == ("ready", "http", "v1")


async def test_an_event_is_scored_with_the_key_and_recorded_before_the_answer(
    client: aiohttp.ClientSession, live: Live
) -> None:
    async with client.post("/v1/score", json=EVENT, headers={**KEY, "x-request-id": "over-http"}) as response:
        answer = await response.json()
    assert (response.status, answer["request_id"], answer["model_version"]) == (200, "over-http", "v1")
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    (record,) = [one for one in live.recorded() if one["request_id"] == "over-http"]
    assert record["score"] == answer["score"]


async def test_without_the_key_nothing_is_scored(client: aiohttp.ClientSession, live: Live) -> None:
    before = len(live.recorded())
    for wrong in ({}, {"authorization": "Bearer wb_wrong"}, {"authorization": f"Basic {API_KEY}"}):
        async with client.post("/v1/score", json=EVENT, headers={**JSON, **wrong}) as response:
            await check_refusal(response, 401, "no_valid_key")
    assert len(live.recorded()) == before


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused(client: aiohttp.ClientSession, announced: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1000

    async with client.post("/v1/score", data=b" " * 10_000 if announced else parts(), headers=KEY) as response:
        await check_refusal(response, 413, "too_large")


LARGE = 300_000_000
PART = b" " * 1_000_000


def resident_bytes(pids: list[int]) -> dict[int, int]:
    """What each process holds in memory now; one that has ended holds nothing."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def poured(port: int, head: str, framed: bool, pids: list[int]) -> tuple[bytes, int]:
    """The answer to a body of 300 MB, and by how much the process that grew most grew meanwhile."""
    before, grown, sent = resident_bytes(pids), 0, 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(head.encode())
        with contextlib.suppress(OSError):  # it is cut off, or nothing more is taken
            client.settimeout(2)
            while sent < LARGE:
                client.sendall(b"%x\r\n%b\r\n" % (len(PART), PART) if framed else PART)
                sent += len(PART)
                now = resident_bytes(pids)
                grown = max(grown, *(now[pid] - size for pid, size in before.items() if pid in now))
        return client.recv(65_536), grown


@pytest.mark.parametrize("framed", [False, True])
async def test_a_body_of_300_mb_is_refused_and_grows_nobodys_memory(
    client: aiohttp.ClientSession, live: Live, framed: bool
) -> None:
    await ready(client)
    length = "transfer-encoding: chunked" if framed else f"content-length: {LARGE}"
    head = (
        f"POST /v1/score HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\n"
    )
    pids = commands.descendants(os.getpid())
    answer, grown = await asyncio.to_thread(poured, live.port, f"{head}{length}\r\n\r\n", framed, pids)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer
    assert grown < 20_000_000
    assert (await ready(client))["status"] == "ready"


async def test_a_new_key_holds_and_a_revoked_one_is_refused_within_seconds_without_a_restart(
    client: aiohttp.ClientSession, live: Live
) -> None:
    async def status() -> int:
        async with client.post("/v1/score", json={**EVENT, "id": 700}, headers={**JSON, **key}) as response:
            return response.status

    register = Register(live.settings.keys_folder)
    _, path = register.add("shop", "scorer", None)
    key = {"authorization": f"Bearer {path.read_text()}"}
    async with asyncio.timeout(5):
        while await status() != 200:
            await asyncio.sleep(0.1)
    register.revoke("shop", None, "admin")
    async with asyncio.timeout(5):
        while await status() != 401:
            await asyncio.sleep(0.1)
    async with client.post("/v1/score", json={**EVENT, "id": 700}, headers=KEY) as response:
        assert response.status == 200


async def test_a_body_that_trickles_is_given_up(client: aiohttp.ClientSession, live: Live) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    head = (
        f"POST /v1/score HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\n"
    )
    writer.write(f"{head}content-length: 100\r\n\r\n".encode())
    async with asyncio.timeout(live.settings.access.body_timeout_s + 10):
        answer = await reader.readuntil(b"}}")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


async def test_what_is_wrong_gets_the_one_shape_through_the_proxy_too(client: aiohttp.ClientSession) -> None:
    async with client.get("/nothing/here") as response:
        await check_refusal(response, 404, "no_such_route")
    async with client.delete("/v1/score") as response:
        await check_refusal(response, 405, "method_not_allowed")
    async with client.post("/v1/score", data=b"{", headers=KEY) as response:
        await check_refusal(response, 400, "not_json")
    async with client.post("/v1/score", data=b"{}", headers={**KEY, "content-type": "text/plain"}) as response:
        await check_refusal(response, 415, "not_json_content")
    async with client.post("/v1/score", json={**EVENT, "SECRET": 1}, headers=KEY) as response:
        await check_refusal(response, 422, "invalid")
        assert "SECRET" not in await response.text()


async def test_the_description_comes_over_http(client: aiohttp.ClientSession) -> None:
    async with client.get("/openapi.json") as response:
        document = await response.json()
    assert document["info"]["title"] == "http: scoring"
    example = document["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]["example"]
    async with client.post("/v1/score", json=example, headers=KEY) as response:
        assert response.status == 200


async def test_two_hundred_at_once_are_all_answered_and_all_recorded(client: aiohttp.ClientSession, live: Live) -> None:
    async def send(identity: int) -> tuple[int, float]:
        headers = {**KEY, "x-request-id": f"many-{identity}"}
        async with client.post("/v1/score", json={**EVENT, "id": identity}, headers=headers) as response:
            return response.status, (await response.json()).get("score")

    for start in (1000, 1200):  # the second time over connections that are open
        answers = await asyncio.gather(*(send(start + n) for n in range(200)))
        assert {status for status, _ in answers} == {200}
        recorded = {one["request_id"]: one["score"] for one in live.recorded()}
        assert [recorded[f"many-{start + n}"] for n in range(200)] == [score for _, score in answers]


async def test_labels_are_taken_over_http(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/score", json={**EVENT, "id": 500}, headers=KEY) as response:
        assert response.status == 200
    told = {"labels": [{"id": identity, "label": 1, "known_time": "2018-08-15T10:00:00Z"} for identity in (500, -1)]}
    async with client.post("/v1/feedback", json=told, headers=KEY) as response:
        assert await response.json() == {"accepted": 2, "in_feature_state": 1}


def test_the_port_is_on_loopback_only(live: Live) -> None:
    assert sockets.addresses(live.port) == {"127.0.0.1"}


def writer(segment: Path) -> int:
    """The process that has a segment open."""
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            if fd.readlink() == segment.resolve():
                return int(fd.parts[2])
    raise AssertionError(f"nobody writes {segment}")


async def test_a_killed_replica_comes_back_with_all_that_it_answered(client: aiohttp.ClientSession, live: Live) -> None:
    async with client.post("/v1/score", json={**EVENT, "id": 600}, headers=KEY) as response:
        before = await response.json()
    events = (await ready(client))["events_in_state"]
    records, (segment,) = live.recorded(), live.journal.glob("predictions-*")
    os.kill(writer(segment), signal.SIGKILL)
    async with asyncio.timeout(120):
        while segment.exists():  # its successor closes it
            await asyncio.sleep(0.1)
    assert (await ready(client))["events_in_state"] == events
    async with client.post("/v1/score", json={**EVENT, "id": 600}, headers=KEY) as response:
        assert (await response.json())["score"] == before["score"]
    table = prediction_log.predictions(Store(live.settings.store), live.settings.log).read(["request_id"])
    assert sorted(table["request_id"].to_pylist()) == sorted(one["request_id"] for one in records)


async def test_a_replay_keeps_why_the_endpoint_refused_an_event(client: aiohttp.ClientSession, live: Live) -> None:
    outcome, bodies = replay.Outcome(), [json.dumps({**EVENT, "amount": amount}).encode() for amount in (-1, "x")]
    async with aiohttp.ClientSession(headers=KEY) as session:
        await replay._lane(session, f"http://127.0.0.1:{live.port}/v1/score", bodies, outcome, time.monotonic() + 60)
    assert (outcome.statuses, outcome.refused) == ({422: 2}, "$.amount: Expected `int` >= 0")


async def test_it_proves_to_a_step_that_it_is_the_endpoint_that_was_deployed(
    client: aiohttp.ClientSession, live: Live
) -> None:
    url = f"http://127.0.0.1:{live.port}"
    assert await asyncio.to_thread(asking.answers, url, live.settings)
    other = dataclasses.replace(live.settings, api_key_digest=api_key_digest("another"))
    assert not await asyncio.to_thread(asking.answers, url, other)
