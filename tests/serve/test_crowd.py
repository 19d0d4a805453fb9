"""Requests take turns; one that would wait behind others for too long is refused, and nothing of it is kept."""

import asyncio
import contextlib
import dataclasses
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serve import batch, crowd
from serve.crowd import Crowd
from serve.endpoint import Endpoint
from serve.entrance import Entrance
from serve.settings import Settings
from serve.together import Together
from tests.serve.small import API_KEY, EVENT
from tests.serve.test_endpoint import call, check_refusal
from workbench.governance import audit

MOST = crowd.A_TURN[crowd.ANSWER]
EACH_S, FIRST = 0.02, 8 * MOST


async def nap(turns: int = 1) -> None:
    """Let some turns of the event loop pass."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def turns_of(asking: dict[Any, Any]) -> dict[int, list[Any]]:
    """What was through in which turn of the loop, of what waits under some names, to the end of all."""
    through, turn = dict[int, list[Any]](), 0

    async def ask(name: Any, waiting: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
            through.setdefault(turn, []).append(name)

    tasks = {name: asyncio.ensure_future(ask(name, waiting)) for name, waiting in asking.items()}
    while not all(one.done() for one in tasks.values()):
        turn += 1
        await nap()
        if turn == 1:
            for name in [*tasks]:
                if str(name).startswith("gone"):
                    tasks[name].cancel()
        assert turn < 1000
    return through


async def test_a_turn_of_the_loop_answers_a_few_and_all_are_answered_in_the_order_they_came_in() -> None:
    one = Crowd(60)
    through = await turns_of({number: one.turn() for number in range(5 * MOST + 1)})
    assert [number for turn in sorted(through) for number in through[turn]] == [*range(5 * MOST + 1)]
    assert [len(through[turn]) for turn in sorted(through)] == [MOST] * 5 + [1]


async def test_who_comes_while_a_turn_is_of_those_who_waited_waits_as_well() -> None:
    one = Crowd(60)
    asking = [asyncio.ensure_future(one.turn()) for _ in range(2 * MOST)]
    await nap(2)
    late = one.turn()
    assert late.send(None) is not None, "the loop has it back"
    late.close()
    await asyncio.gather(*asking)


async def test_whoever_finds_nobody_waiting_does_not_wait() -> None:
    one = Crowd(60)
    for _ in range(3):
        waiting = one.turn()
        with pytest.raises(StopIteration):
            waiting.send(None)  # it ended without giving the loop back
        await nap(2)


async def test_whoever_has_gone_takes_no_turn() -> None:
    one = Crowd(60)
    names = [*range(MOST), *(f"gone {number}" for number in range(MOST)), *range(MOST, 2 * MOST)]
    through = await turns_of({name: one.turn() for name in names})
    first, second = sorted(through)
    assert (through[first], through[second]) == ([*range(MOST)], [*range(MOST, 2 * MOST)])
    assert second == first + 2, "those who have gone cost no turn: the turn after the first is of those who wait"


async def test_it_is_full_while_another_has_waited_for_too_long() -> None:
    one = Crowd(0.02)
    asking = [asyncio.ensure_future(one.turn()) for _ in range(MOST + 1)]
    assert not one.full
    await nap()
    time.sleep(0.03)  # a turn lasts
    assert one.full
    await asyncio.gather(*asking)
    assert not one.full


async def held(one: Crowd, inside: list[int], number: int) -> None:
    """Enter, stay for two turns of the loop, and leave."""
    place = await one.enter()
    try:
        inside.append(number)
        await nap(2)
    finally:
        inside.remove(number)
        one.leave(place)


async def test_so_many_are_let_in_at_once_and_the_others_in_the_order_they_came_in() -> None:
    one, inside, most, order = Crowd(60, at_once=3), list[int](), 0, list[int]()
    asking = [asyncio.ensure_future(held(one, inside, number)) for number in range(20)]
    while not all(task.done() for task in asking):
        await nap()
        most = max(most, len(inside))
        order += [number for number in inside if number not in order]
    assert most == 3
    assert order == [*range(20)]
    await asyncio.wait_for(held(one, inside, 20), 1)


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5])
async def test_whoever_goes_at_the_door_or_inside_takes_nobodys_place(turns: int) -> None:
    one, inside = Crowd(60, at_once=2), list[int]()
    asking = [asyncio.ensure_future(held(one, inside, number)) for number in range(8)]
    await nap(turns)
    for task in asking[1:6]:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 1)
    assert asking[7].exception() is None
    assert not one._places
    await asyncio.wait_for(asyncio.gather(*(held(one, inside, number) for number in (20, 21, 22))), 1)


async def test_it_is_shut_while_another_has_waited_at_the_door_for_too_long() -> None:
    one = Crowd(0.02, at_once=1)
    place = await one.enter()
    outside = asyncio.ensure_future(one.enter())
    await nap()
    assert (one.shut, one.outside) == (False, 1)
    time.sleep(0.03)
    assert (one.shut, one.full) == (True, False), "those inside have waited for nothing"
    one.leave(place)
    one.leave(await outside)
    assert (one.shut, one.outside) == (False, 0)


async def test_whoever_stays_inside_for_long_keeps_nobody_at_the_door() -> None:
    one = Crowd(0.08, at_once=2)
    places = [await one.enter() for _ in range(2)]
    others = [await asyncio.wait_for(one.enter(), 1) for _ in range(2)]
    assert len(one._places) == 2, "the first two count no more"
    for place in (*places, *others):
        one.leave(place)
    assert not one._places


async def test_every_line_has_its_part_of_each_turn() -> None:
    one = Crowd(60)
    asking = {(line, number): one.turn(line) for line in crowd.A_TURN for number in range(4 * crowd.A_TURN[line])}
    through = await turns_of(asking)
    assert len(through) == 4
    for names in through.values():
        assert {line: [name[0] for name in names].count(line) for line in crowd.A_TURN} == crowd.A_TURN


@pytest.fixture
def endpoint(given: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """It answers a request in a fiftieth of a second, and refuses once another has waited for the time of two turns."""
    one = Endpoint(dataclasses.replace(given, max_wait_s=1.5 * MOST * EACH_S, retry_after_s=2.0, slow_at_once=2))
    record = one.service.record

    def slowly(*asked: Any) -> Any:
        time.sleep(EACH_S)
        return record(*asked)

    monkeypatch.setattr(one.service, "record", slowly)
    yield one
    Entrance.behind = None


async def through(endpoint: Endpoint, path: str, event: dict[str, Any] | None = None, after_s: float = 0) -> Response:
    """What a request is answered that comes in by the entrance; with an event it is posted, its body after a time."""
    headers = [(b"authorization", f"Bearer {API_KEY}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST" if event else "GET", "path": path, "headers": headers, "root_path": ""}
    said = list[Message]()

    async def receive() -> Message:
        if after_s:
            await asyncio.sleep(after_s)
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


@pytest.mark.parametrize("prefix", ["", "/payments"])
async def test_who_would_wait_for_too_long_is_refused_and_those_who_wait_are_answered(
    endpoint: Endpoint, prefix: str
) -> None:
    asking = await crowded(endpoint)
    one = await through(endpoint, f"{prefix}/v1/score", {**EVENT, "id": 100})
    error = check_refusal(one, 503)
    assert (error["message"], one.headers["retry-after"]) == ("Too many requests at once; send it again.", "2")
    assert not all(one.done() for one in asking)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200] * FIRST
    assert len(endpoint.service.state) == len(recorded(endpoint)) == FIRST, "nothing is kept of what was refused"
    assert (await through(endpoint, "/v1/score", {**EVENT, "id": 100})).status_code == 200, "the crowd has gone"
    (counted,) = re.findall(r'workbench_refusals_total{code="not_ready",.*route="([^"]*)"} 1.0', told(endpoint))
    assert counted == "/v1/score"
    lines = audit.lines(Path(endpoint.settings.journal) / audit.FOLDER)
    assert [one["route"] for one in lines if one["act"] == "refused"] == ["POST /v1/score"]


async def test_where_serve_lets_no_entrance_stand_the_endpoint_itself_refuses(endpoint: Endpoint) -> None:
    asking = await crowded(endpoint)
    assert (await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": 100}).encode()])).status_code == 503
    await asyncio.gather(*asking)


def told(endpoint: Endpoint) -> str:
    """The metrics."""
    return endpoint.metrics.text().decode()


def recorded(endpoint: Endpoint) -> list[bytes]:
    """The decisions that the journal holds."""
    files = sorted(endpoint.settings.folder.glob("predictions-*"))
    return [line for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture
def narrow(given: Settings) -> Iterator[Endpoint]:
    """It lets in two events at once."""
    yield Endpoint(dataclasses.replace(given, at_once=2, slow_at_once=2))
    Entrance.behind = None


async def test_serve_sees_no_more_events_than_it_has_to_count_and_batches_are_not_kept_out(
    narrow: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most, answer, go_on = [0], [0], narrow._answer, asyncio.Event()

    async def watched(request: Request, *asked: Any) -> Any:
        if request.scope["path"] != "/v1/score":
            return await answer(request, *asked)
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await go_on.wait()
        inside[0] -= 1
        return await answer(request, *asked)

    monkeypatch.setattr(narrow, "_answer", watched)
    asking = [asyncio.ensure_future(through(narrow, "/v1/score", {**EVENT, "id": number})) for number in range(9)]
    await nap(3)
    batch_of_one = await through(narrow, "/v1/score:batch", {"events": [{**EVENT, "id": 100}]})
    assert (batch_of_one.status_code, inside, narrow.crowd.outside) == (200, [2], 7)
    go_on.set()
    assert {response.status_code for response in await asyncio.gather(*asking)} == {200}
    assert most == [2]


async def test_bodies_that_do_not_come_keep_nobody_out(narrow: Endpoint) -> None:
    slow = [asyncio.ensure_future(through(narrow, "/v1/score", {**EVENT, "id": n}, after_s=1.5)) for n in range(2)]
    await nap(3)
    started = time.monotonic()
    label = {"labels": [{"id": 7, "label": 1, "known_time": EVENT["time"]}]}
    others = await asyncio.gather(
        through(narrow, "/v1/score", {**EVENT, "id": 5}), through(narrow, "/v1/feedback", label)
    )
    assert [one.status_code for one in others] == [200, 200]
    assert time.monotonic() - started < 1.2
    assert [one.status_code for one in await asyncio.gather(*slow)] == [200, 200]


async def test_whoever_has_waited_at_the_door_is_not_refused_inside(
    narrow: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [await narrow.crowd.enter() for _ in range(2)]
    asking = [asyncio.ensure_future(through(narrow, "/v1/score", {**EVENT, "id": n})) for n in range(6)]
    await nap()
    assert narrow.crowd.outside == 6
    monkeypatch.setattr(Crowd, "full", property(lambda _: True))
    for place in places:
        narrow.crowd.leave(place)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200] * 6
    assert (await through(narrow, "/v1/score", {**EVENT, "id": 7})).status_code == 503


async def test_the_time_at_the_door_counts(narrow: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, took = narrow.metrics.ended, list[float]()

    def noted(*about: Any) -> None:
        took.append(about[-1])
        ended(*about)

    monkeypatch.setattr(narrow.metrics, "ended", noted)
    places = [await narrow.crowd.enter() for _ in range(2)]
    asking = asyncio.ensure_future(through(narrow, "/v1/score", {**EVENT, "id": 1}))
    await asyncio.sleep(0.05)
    assert re.search(rb"workbench_requests_in_progress{[^}]*} 1.0", narrow.metrics.text())
    narrow.crowd.leave(places[0])
    assert (await asking).status_code == 200
    assert took[0] >= 0.05


async def test_how_it_is_can_be_asked_in_any_crowd(endpoint: Endpoint) -> None:
    asking = await crowded(endpoint)
    health, ready = await through(endpoint, "/healthz"), await through(endpoint, "/readyz")
    assert not all(one.done() for one in asking)
    assert (health.status_code, ready.status_code) == (200, 200)
    await asyncio.gather(*asking)


@pytest.fixture
def quick(given: Settings) -> Iterator[Endpoint]:
    """It takes its own time."""
    yield Endpoint(given)
    Entrance.behind = None


async def test_batches_leave_the_single_requests_their_turns(quick: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    answered, service, part = list[str](), quick.service, batch._part

    async def single(asked: Any) -> Any:
        answered.append("single")
        return await Together.scored(quick.together, asked)

    def parts(*asked: Any) -> Any:
        answered.append("part")
        return part(*asked)

    monkeypatch.setattr(quick.together, "scored", single)
    monkeypatch.setattr(batch, "_part", parts)
    size, turns = 16 * service.state.together, 20
    events = [{**EVENT, "id": 1000 + number} for number in range(2 * size)]
    batches = [through(quick, "/v1/score:batch", {"events": half}) for half in (events[:size], events[size:])]
    singles = [through(quick, "/v1/score", {**EVENT, "id": number}) for number in range(turns * MOST)]
    assert {one.status_code for one in await asyncio.gather(*batches, *singles)} == {200}
    last = len(answered) - answered[::-1].index("single")
    assert answered[:last].count("part") <= turns, "one a turn, whoever's it is"


async def test_more_batches_at_once_than_it_may_work_on_are_refused(endpoint: Endpoint) -> None:
    events = [[{**EVENT, "id": 100 * batch + number} for number in range(50)] for batch in range(3)]
    codes = [
        one.status_code
        for one in await asyncio.gather(*(through(endpoint, "/v1/score:batch", {"events": few}) for few in events))
    ]
    assert codes == [200, 200, 503]
    assert (await through(endpoint, "/v1/score:batch", {"events": events[2]})).status_code == 200
