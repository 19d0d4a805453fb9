"""Requests that come at once are one run of the model and one write, and each is answered as if it had come alone."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from serve import crowd
from serve.answers import Refusal
from serve.endpoint import Endpoint
from serve.models import Decided, Models, NoNumber
from serve.service import Service
from serve.together import Together
from tests.serve.asked import EVENTS, at, features, logged
from tests.serve.small import settings
from tests.serve.test_endpoint import call
from workbench.data.store import Store

MOST = crowd.A_TURN[crowd.ANSWER]
BROKEN = 13  # the customer for whom a model has no number


@pytest.fixture
def endpoint(store: Store, tmp_path: Path) -> Endpoint:
    return Endpoint(settings(store, tmp_path))


def many(count: int) -> list[dict[str, Any]]:
    """Events of three customers, some of them late."""
    return [
        {"id": n, "time": at(n / 10 - (5 if n % 9 == 4 else 0)), "customer": n % 3, "amount": n} for n in range(count)
    ]


async def at_once(endpoint: Endpoint, events: Sequence[dict[str, Any]]) -> list[Response]:
    """The answers to events that are asked for in one turn of the loop."""
    return await asyncio.gather(*(call(endpoint, "/v1/score", [json.dumps(one).encode()]) for one in events))


async def after_a_turn(endpoint: Endpoint, events: Sequence[dict[str, Any]]) -> list[Response]:
    """The answers to events that share a run: the first turn is of others, who find nobody waiting."""
    first = [{**many(1)[0], "id": 1000 + number} for number in range(MOST)]
    responses = await at_once(endpoint, [*first, *events])
    assert codes(responses[:MOST]) == [200] * MOST
    return responses[MOST:]


def codes(responses: Sequence[Response]) -> list[int]:
    return [one.status_code for one in responses]


def counted(monkeypatch: pytest.MonkeyPatch, service: Service) -> list[int]:
    """How many records each write has, from now on."""
    writes, append = list[int](), service.predictions.append

    def written(records: list[Any]) -> None:
        writes.append(len(records))
        append(records)

    monkeypatch.setattr(service.predictions, "append", written)
    return writes


async def test_they_are_answered_and_recorded_as_one_by_one(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Service(settings(Store(str(tmp_path / "other")), tmp_path / "other"))
    expected = [alone.score(EVENTS.decode(json.dumps(one)), "r") for one in many(40)]
    writes = counted(monkeypatch, endpoint.service)
    responses = await at_once(endpoint, many(40))
    assert codes(responses) == [200] * 40
    scores = [json.loads(one.body)["score"] for one in responses]
    assert scores == pytest.approx([one["score"] for one in expected], rel=1e-6)
    assert features(endpoint.service) == features(alone)
    turns = 40 // MOST - 1
    assert writes == [1] * MOST + [MOST] * turns, "whoever finds nobody waiting does not wait; the others go by turns"


async def test_who_comes_alone_waits_for_nobody(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Together, "scored", lambda *_: pytest.fail("there is no company"))
    assert [codes(await at_once(endpoint, [one])) for one in many(3)] == [[200]] * 3


async def test_an_event_that_comes_twice_at_once_counts_once_and_another_of_its_id_is_a_conflict(
    endpoint: Endpoint,
) -> None:
    event = many(1)[0]
    first, again, other = await after_a_turn(endpoint, [event, event, {**event, "amount": 7}])
    assert codes([first, again, other]) == [200, 200, 409]
    assert first.body == again.body
    assert len(logged(endpoint.service)) == len(endpoint.service.state) == MOST + 1


async def test_one_without_a_score_is_refused_alone_and_does_not_count(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [{**one, "customer": BROKEN} if one["id"] == 2 else one for one in many(4)]
    decide_many, decide = Models.decide_many, Models.decide
    broken = endpoint.service.token("customer", BROKEN)

    def checked(customers: Sequence[Any]) -> None:
        if broken in customers:
            raise NoNumber("none")

    together = list[int]()

    def of_many(self: Models, customers: Sequence[Any], found: Sequence[list[float]]) -> list[Decided]:
        together.append(len(customers))
        checked(customers)
        return list(decide_many(self, customers, found))

    def of_one(self: Models, customer: Any, found: list[float]) -> Decided:
        checked([customer])
        return decide(self, customer, found)

    monkeypatch.setattr(Models, "decide_many", of_many)
    monkeypatch.setattr(Models, "decide", of_one)
    assert codes(await after_a_turn(endpoint, events)) == [200, 200, 500, 200]
    assert together == [4, 1, 1, 1, 1], "together, and then each alone"
    assert sorted(int(row["id"]) for row in logged(endpoint.service)) == [0, 1, 3, *range(1000, 1000 + MOST)]
    assert len(endpoint.service.state) == MOST + 3


async def test_where_the_disk_refuses_each_is_tried_alone_and_none_counts(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[int]()

    def refuse(records: list[Any]) -> None:
        tried.append(len(records))
        raise Refusal(503, "Full.")

    await at_once(endpoint, [{**many(1)[0], "id": 1000}])
    with monkeypatch.context() as full:
        full.setattr(endpoint.service.predictions, "append", refuse)
        assert codes(await at_once(endpoint, many(2 * MOST))) == [503] * 2 * MOST
    assert tried == [1] * MOST + [MOST] + [1] * MOST
    assert len(endpoint.service.state) == 1
    assert codes(await at_once(endpoint, many(2 * MOST))) == [200] * 2 * MOST


async def test_what_was_answered_is_answered_from_memory_and_a_full_journal_refuses_the_new(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await after_a_turn(endpoint, many(4))
    monkeypatch.setattr(endpoint.service.compactor, "full", True)
    again = await after_a_turn(endpoint, many(8))
    assert codes(again) == [200] * 4 + [503] * 4
    assert [one.body for one in again[:4]] == [one.body for one in first]


async def test_whoever_has_gone_is_recorded_and_keeps_no_other_from_its_answer(endpoint: Endpoint) -> None:
    events = [json.dumps(one).encode() for one in many(2 * MOST)]
    asking = [asyncio.ensure_future(call(endpoint, "/v1/score", [one])) for one in events]
    while not endpoint.together._waiting:
        await asyncio.sleep(0)
    asking[-1].cancel()
    done = await asyncio.gather(*asking, return_exceptions=True)
    assert [getattr(one, "status_code", 0) for one in done] == [200] * (2 * MOST - 1) + [0]
    assert len(logged(endpoint.service)) == len(endpoint.service.state) == 2 * MOST


async def test_an_event_that_is_far_from_the_others_goes_alone(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = many(2 * MOST)
    events[-1] = {**events[-1], "time": at(24 * 5)}
    writes = counted(monkeypatch, endpoint.service)
    assert codes(await at_once(endpoint, events)) == [200] * 2 * MOST
    assert sorted(writes) == [1] * (MOST + 1) + [MOST - 1]
