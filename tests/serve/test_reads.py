"""What reads the log waits for it in threads of its own, a few at a time; nothing else waits with it."""

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.responses import Response

from serve import decisions, live
from serve.endpoint import Endpoint
from serve.settings import Settings
from tests.serve.small import EVENT
from tests.serve.test_endpoint import call, check_refusal

MOST, SENT = 2, 5
Asked = dict[str, Any]
REPEATED: Asked = {"path": "/v1/score", "parts": [json.dumps(EVENT).encode()]}
ASKED: dict[str, Asked] = {
    "repeated": REPEATED,
    "decisions": {"path": "/v1/decisions/1", "method": "GET"},
    "models": {"path": "/v1/models", "method": "GET"},
}


@pytest.fixture
async def away(given: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Endpoint, threading.Event]]:
    """An endpoint whose log does not answer until the event is set; it has answered one event."""
    endpoint, back = Endpoint(dataclasses.replace(given, slow_at_once=MOST, retry_after_s=2.0)), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    await call(endpoint, **REPEATED)
    endpoint.service.answered._own.clear()
    for owner, name in ((endpoint.service.answered, "find"), (decisions, "find"), (live, "models")):
        monkeypatch.setattr(owner, name, waited(back, getattr(owner, name)))
    yield endpoint, back
    back.set()


def waited(back: threading.Event, read: Callable[..., Any]) -> Callable[..., Any]:
    """A read that begins once the log is back."""
    return lambda *asked: back.wait(60) and read(*asked)


async def waiting(endpoint: Endpoint, asked: Asked) -> tuple[list[asyncio.Task[Response]], list[Response]]:
    """Of some requests those that wait, and the answers to the others."""
    tasks = [asyncio.ensure_future(call(endpoint, **asked)) for _ in range(SENT)]
    done, _ = await asyncio.wait(tasks, timeout=0.3)
    return [one for one in tasks if one not in done], [one.result() for one in tasks if one in done]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_more_than_a_few_that_wait_for_the_log_are_refused(
    away: tuple[Endpoint, threading.Event], asked: Asked
) -> None:
    endpoint, back = away
    left, refused = await waiting(endpoint, asked)
    assert (len(left), len(refused)) == (MOST, SENT - MOST)
    for one in refused:
        check_refusal(one, 503)
        assert one.headers["retry-after"] == "2"
    back.set()
    assert {(await one).status_code for one in left} == {200}
    assert (await call(endpoint, **asked)).status_code == 200, "the others have made room"


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_meanwhile_new_events_are_answered_and_how_it_is_is_told(
    away: tuple[Endpoint, threading.Event], asked: Asked
) -> None:
    endpoint, back = away
    left, _ = await waiting(endpoint, asked)
    event = {**EVENT, "id": 2}
    for path, parts in (
        ("/v1/score", event),
        ("/v1/score:batch", {"events": [{**event, "id": 3}]}),
        ("/metrics", None),
    ):
        asking = call(endpoint, path, [json.dumps(parts).encode()], "GET" if parts is None else "POST")
        assert (await asyncio.wait_for(asking, 5)).status_code == 200
    back.set()
    await asyncio.gather(*left)
