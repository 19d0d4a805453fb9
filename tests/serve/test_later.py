"""Labels and corrections are recorded at once and taken in by parts; others get their turn between them."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.responses import Response

from serve import later
from serve.endpoint import Endpoint
from serve.settings import Settings
from tests.code.features.redis_server import Server, needs_redis
from tests.serve.asked import at, features, score
from tests.serve.small import EVENT, die
from tests.serve.test_endpoint import call, check_refusal
from workbench.errors import StateUnavailable

CUSTOMER, MANY = 7, 10 * later.PART
PATHS = {"labels": "/v1/feedback", "corrections": "/v1/corrections"}


@pytest.fixture
def given(given: Settings) -> Settings:
    return dataclasses.replace(given, max_body_bytes=262_144, slow_at_once=2)


@pytest.fixture
def endpoint(given: Settings) -> Endpoint:
    """It has answered many events of one customer."""
    return answered(Endpoint(given))


def answered(endpoint: Endpoint) -> Endpoint:
    for identity in range(MANY):
        score(endpoint.service, identity, 0, CUSTOMER)
    return endpoint


def body(kind: str, label: int = 1, of: Sequence[int] = range(MANY)) -> dict[str, Any]:
    """What is told of each event: it is fraud (or not), or was never there."""
    said = {"label": label} if kind == "labels" else {"event": None}
    return {kind: [{"id": identity, "known_time": at(1), **said} for identity in of]}


async def tell(endpoint: Endpoint, kind: str, **about: Any) -> Response:
    return await call(endpoint, PATHS[kind], [json.dumps(body(kind, **about)).encode()])


def slowed(monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint, name: str, each_s: float = 0.002) -> list[Any]:
    """The events that the state has been told of, each of which takes it some time."""
    taken_in, take_in = list[Any](), getattr(endpoint.service.state, name)

    def slowly(identity: Any, *said: Any) -> Any:
        time.sleep(each_s)
        taken_in.append(identity)
        return take_in(identity, *said)

    monkeypatch.setattr(endpoint.service.state, name, slowly)
    return taken_in


CALLS = {"labels": "label", "corrections": "correct"}


async def begun(
    monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint, kind: str
) -> tuple["asyncio.Task[Response]", list[Any]]:
    """A call of which a part is taken in, and the ids that are."""
    taken_in = slowed(monkeypatch, endpoint, CALLS[kind])
    running = asyncio.create_task(tell(endpoint, kind))
    while not taken_in:
        await asyncio.sleep(0)
    return running, taken_in


@pytest.mark.parametrize("kind", CALLS)
class TestACall:
    async def test_leaves_the_single_requests_their_turns(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        running, taken_in = await begun(monkeypatch, endpoint, kind)
        assert len(taken_in) <= later.PART
        assert (await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": 5000}).encode()])).status_code == 200
        assert (running.done(), len(taken_in) < MANY) == (False, True)
        assert json.loads((await running).body) == {"accepted": MANY, "in_feature_state": MANY}

    async def test_is_recorded_whole_before_any_of_it_counts(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        taken_in, wrote = slowed(monkeypatch, endpoint, CALLS[kind], 0), list[tuple[int, int]]()
        journal = endpoint.service.feedback if kind == "labels" else endpoint.service.corrections
        append = journal.append

        def noted(records: list[Any]) -> None:
            wrote.append((len(records), len(taken_in)))
            append(records)

        monkeypatch.setattr(journal, "append", noted)
        assert (await tell(endpoint, kind)).status_code == 200
        assert (wrote, taken_in) == ([(MANY, 0)], [*range(MANY)])

    async def test_counts_whole_also_where_whoever_told_it_has_gone(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        running, taken_in = await begun(monkeypatch, endpoint, kind)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert taken_in == [*range(MANY)]

    async def test_that_broke_off_is_recorded_and_sent_again_all_of_it_counts_once(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        take_in, left = getattr(endpoint.service.state, CALLS[kind]), [*range(later.PART + 5)]

        def once(*said: Any) -> Any:
            if not left:
                raise StateUnavailable("away")
            left.pop()
            return take_in(*said)

        with monkeypatch.context() as away:
            away.setattr(endpoint.service.state, CALLS[kind], once)
            check_refusal(await tell(endpoint, kind), 503)
        assert json.loads((await tell(endpoint, kind)).body)["in_feature_state"] == MANY
        assert seen(endpoint, 1) == seen(begun_again(endpoint), 2)

    async def test_is_refused_where_too_many_are_under_way(self, endpoint: Endpoint, kind: str) -> None:
        responses = await asyncio.gather(*(tell(endpoint, kind) for _ in range(3)))
        assert sorted(one.status_code for one in responses) == [200, 200, 503]
        assert (await tell(endpoint, kind)).status_code == 200


def seen(endpoint: Endpoint, number: int) -> list[float]:
    """What a new event sees of the customer: how many events, and the share known positive."""
    score(endpoint.service, 10_000 + number, 2, CUSTOMER)
    count, risk = features(endpoint.service)[-1][1:]
    return [count - number, round(risk * count)]


def begun_again(endpoint: Endpoint) -> Endpoint:
    """Another in the place of one that was killed."""
    die(endpoint.service)
    return Endpoint(endpoint.settings)


async def test_of_two_calls_at_once_the_one_recorded_last_counts_then_and_after_a_restart(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_in = slowed(monkeypatch, endpoint, "label", 0)
    first = asyncio.create_task(tell(endpoint, "labels", label=1))
    while not taken_in:
        await asyncio.sleep(0)
    second = await tell(endpoint, "labels", label=0, of=[MANY - 1])  # the last that the first call tells of
    assert (second.status_code, (await first).status_code) == (200, 200)
    assert seen(endpoint, 1) == [MANY, MANY - 1]
    assert seen(begun_again(endpoint), 2) == [MANY, MANY - 1]


async def test_a_correction_of_an_event_that_came_while_others_were_looked_up_changes_nothing_then_or_after_a_restart(
    endpoint: Endpoint,
) -> None:
    told = endpoint._corrections.decode(json.dumps(body("corrections", of=range(1000, 1000 + MANY)))).corrections
    parts = later.corrections(endpoint.service, told)
    next(parts)
    score(endpoint.service, 1000, 0, CUSTOMER)
    assert sum(parts) == 0
    assert seen(endpoint, 1) == [MANY + 1, 0]
    assert seen(begun_again(endpoint), 2) == [MANY + 1, 0]


@needs_redis
@pytest.mark.parametrize("kind", CALLS)
async def test_it_is_the_same_where_replicas_share_the_state(given: Settings, server: Server, kind: str) -> None:
    one, other = (Endpoint(dataclasses.replace(given, redis_url=server.url)) for _ in range(2))
    answered(one)
    running = asyncio.create_task(tell(one, kind))
    assert (await call(one, "/v1/score", [json.dumps({**EVENT, "id": 5000}).encode()])).status_code == 200
    assert not running.done()
    assert json.loads((await running).body) == {"accepted": MANY, "in_feature_state": MANY}
    expected = [MANY, MANY] if kind == "labels" else [0, 0]
    assert seen(other, 1) == expected
    server.client.flushall()
    die(one.service)
    assert seen(begun_again(other), 2) == expected
