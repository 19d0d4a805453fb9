"""Requests take turns; one that would wait behind others for too long is refused, and nothing of it is kept."""

import asyncio
import dataclasses
import json
import time
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serve.crowd import A_TURN, REFUSED_A_TURN, Crowd
from serve.endpoint import Endpoint
from serve.entrance import Entrance
from serve.settings import Settings
from tests.serve.small import API_KEY, EVENT
from tests.serve.test_endpoint import check_refusal

EACH_S, FIRST = 0.02, 5 * A_TURN


async def nap(turns: int = 1) -> None:
    """Let some turns of the event loop pass."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_turn_of_the_loop_answers_a_few_and_all_are_answered_in_the_order_they_came_in() -> None:
    crowd, answered, turns = Crowd(60), list[int](), dict[int, int]()
    turn = 0

    async def ask(number: int) -> None:
        await crowd.turn()
        answered.append(number)
        turns[turn] = turns.get(turn, 0) + 1

    asking = [asyncio.ensure_future(ask(number)) for number in range(5 * A_TURN + 1)]
    while not all(one.done() for one in asking):
        turn += 1
        await nap()
    assert answered == [*range(len(asking))]
    assert max(turns.values()) == A_TURN
    assert len(turns) == 6


async def test_who_comes_while_a_turn_is_of_those_who_waited_waits_as_well() -> None:
    crowd = Crowd(60)
    asking = [asyncio.ensure_future(crowd.turn()) for _ in range(2 * A_TURN)]
    await nap(2)
    late = crowd.turn()
    assert late.send(None) is not None, "the loop has it back"
    late.close()
    await asyncio.gather(*asking)


async def test_whoever_finds_nobody_waiting_does_not_wait() -> None:
    crowd = Crowd(60)
    for _ in range(3):
        waiting = crowd.turn()
        with pytest.raises(StopIteration):
            waiting.send(None)  # it ended without giving the loop back
        await nap(2)


async def test_whoever_has_gone_takes_no_turn() -> None:
    crowd = Crowd(60)
    asking = [asyncio.ensure_future(crowd.turn()) for _ in range(3 * A_TURN)]
    await nap()
    for one in asking[A_TURN : 2 * A_TURN]:
        one.cancel()
    await asyncio.wait_for(asyncio.gather(*asking[2 * A_TURN :]), 5)
    assert [one.cancelled() for one in asking] == [False] * A_TURN + [True] * A_TURN + [False] * A_TURN


async def test_it_is_full_while_another_has_waited_for_too_long() -> None:
    crowd = Crowd(0.02)
    asking = [asyncio.ensure_future(crowd.turn()) for _ in range(A_TURN + 1)]
    assert not crowd.full
    await nap()
    time.sleep(0.03)  # a turn lasts
    assert crowd.full
    await asyncio.gather(*asking)
    assert not crowd.full


async def test_refusals_have_turns_of_their_own_beside_the_answers() -> None:
    crowd, said = Crowd(60), list[str]()

    async def ask(waiting: Any, says: str) -> None:
        await waiting
        said.append(says)

    answers = [ask(crowd.turn(), "answered") for _ in range(4 * A_TURN)]
    refusals = [ask(crowd.turned_away(), "refused") for _ in range(4 * REFUSED_A_TURN)]
    await asyncio.gather(*answers, *refusals)
    for turn in range(1, 4):
        so_far = said[: turn * (A_TURN + REFUSED_A_TURN)]
        assert so_far.count("refused") == turn * REFUSED_A_TURN, "neither keeps the other out"


@pytest.fixture
def endpoint(given: Settings, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """It refuses once a request has waited for the time of two turns."""
    one = Endpoint(dataclasses.replace(given, max_wait_s=1.5 * A_TURN * EACH_S, retry_after_s=2.0))
    scored = one.service.scored

    def slowly(*asked: Any) -> Any:
        time.sleep(EACH_S)
        return scored(*asked)

    monkeypatch.setattr(one.service, "scored", slowly)
    return one


async def through(endpoint: Endpoint, path: str, event: dict[str, Any] | None = None) -> Response:
    """What a request is answered that comes in by the entrance; with an event it is posted."""
    headers = [(b"authorization", f"Bearer {API_KEY}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST" if event else "GET", "path": path, "headers": headers, "root_path": ""}
    said = list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(event).encode(), "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    await Entrance(application)({**scope, "query_string": b"", "server": ("127.0.0.1", 80)}, receive, send)
    response = Response(said[1]["body"], said[0]["status"])
    response.raw_headers = said[0]["headers"]
    return response


async def crowded(endpoint: Endpoint) -> list[asyncio.Future[Response]]:
    """Requests of which the last have waited for too long when it returns."""
    asking = [
        asyncio.ensure_future(through(endpoint, "/v1/score", {**EVENT, "id": number})) for number in range(1, FIRST + 1)
    ]
    for _ in range(FIRST):
        if endpoint.crowd.full:
            break
        await nap()
    return asking


async def test_who_would_wait_for_too_long_is_refused_and_those_who_wait_are_answered(endpoint: Endpoint) -> None:
    asking = await crowded(endpoint)
    one = await through(endpoint, "/v1/score", {**EVENT, "id": 100})
    error = check_refusal(one, 503)
    assert (error["message"], one.headers["retry-after"]) == ("Too many requests at once; send it again.", "2")
    assert not all(one.done() for one in asking)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200] * FIRST
    assert len(endpoint.service.state) == len(recorded(endpoint)) == FIRST, "nothing is kept of what was refused"
    assert (await through(endpoint, "/v1/score", {**EVENT, "id": 100})).status_code == 200, "the crowd has gone"
    assert 'workbench_refusals_total{code="not_ready",replica="' in endpoint.metrics.text().decode()


def recorded(endpoint: Endpoint) -> list[bytes]:
    """The decisions that the journal holds."""
    files = sorted(endpoint.settings.folder.glob("predictions-*"))
    return [line for file in files for line in file.read_bytes().splitlines()]


async def test_how_it_is_can_be_asked_in_any_crowd(endpoint: Endpoint) -> None:
    asking = await crowded(endpoint)
    health, ready = await through(endpoint, "/healthz"), await through(endpoint, "/readyz")
    assert not all(one.done() for one in asking)
    assert (health.status_code, ready.status_code) == (200, 200)
    await asyncio.gather(*asking)
