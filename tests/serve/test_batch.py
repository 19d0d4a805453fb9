"""A batch is its events one after the other, with the same features and records; what is wrong is told by its place."""

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serve import batch
from serve.answer_types import NoDecision
from serve.answers import Refusal
from serve.endpoint import Endpoint
from serve.models import Decided, Models, NoNumber
from serve.service import Service
from serve.settings import Settings
from tests.code.features.redis_server import Server, needs_redis
from tests.serve.asked import EVENTS, ROOT, at, features, logged, score
from tests.serve.small import settings
from tests.serve.test_endpoint import call, check_refusal, check_untouched
from workbench.data.store import Store
from workbench.errors import InputError, StateUnavailable
from workbench.features.vector import Vector


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Settings:
    return dataclasses.replace(settings(store, tmp_path), max_body_bytes=1000)


@pytest.fixture
def endpoint(given: Settings) -> Endpoint:
    return Endpoint(given)


def event(identity: int, hours: float, customer: int = 1, amount: int = 100) -> dict[str, Any]:
    return {"id": identity, "time": at(hours), "customer": customer, "amount": amount}


async def post(endpoint: Endpoint, events: list[dict[str, Any]]) -> Any:
    return await call(endpoint, "/v1/score:batch", [json.dumps({"events": events}).encode()], x_request_id="b")


def many(count: int) -> list[dict[str, Any]]:
    """Events of seven customers, some of them late."""
    return [event(n, n / 10 - (5 if n % 9 == 4 else 0), customer=n % 7, amount=n) for n in range(count)]


async def test_it_is_answered_and_recorded_as_its_events_one_by_one(endpoint: Endpoint, tmp_path: Path) -> None:
    alone = Service(settings(Store(str(tmp_path / "other")), tmp_path / "other"))
    expected = [alone.score(EVENTS.decode(json.dumps(one)), "r") for one in many(150)]
    response = await post(endpoint, many(150))
    answer = json.loads(response.body)
    assert (response.status_code, answer["request_id"]) == (200, "b")
    assert [one["request_id"] for one in answer["results"]] == [f"b-{n}" for n in range(150)]
    assert [one["score"] for one in answer["results"]] == pytest.approx([one["score"] for one in expected], rel=1e-6)
    assert features(endpoint.service) == features(alone)
    places = [[(row["arrival"], row["as_of"]) for row in logged(one)] for one in (endpoint.service, alone)]
    assert places[0] == places[1]


async def test_what_was_answered_is_answered_again_and_another_event_of_its_id_is_an_error_in_its_place(
    endpoint: Endpoint,
) -> None:
    first = json.loads((await post(endpoint, many(40))).body)["results"]
    endpoint.service.compact()
    endpoint.service.answered._own.clear()
    events = [*many(40), event(40, 5), event(40, 5), event(3, 5), event(40, 6)]
    answer = json.loads((await post(endpoint, events)).body)["results"]
    assert answer[:40] == first
    assert answer[40] == answer[41]
    assert [one["error"]["code"] for one in answer[42:]] == ["conflict", "conflict"]
    assert len(logged(endpoint.service)) == 41


BAD = {
    "a malformed one": ([event(0, 0), {**event(1, 1), "amount": -1}], 422, ["$.events[1].amount"]),
    "two far ahead": (
        [event(0, 0), event(1, 24 * 401), event(2, 24 * 801), event(3, 24 * 1600)], 422,
        ["$.events[1].time", "$.events[3].time"],
    ),
    "none": ([], 422, ["$.events"]),
    "too many": ([event(n, 0) for n in range(1001)], 422, ["$.events"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_nothing_is_scored_where_one_cannot_be_right(endpoint: Endpoint, case: str) -> None:
    events, status, fields = BAD[case]
    response = await post(endpoint, events)
    assert [one["field"] for one in check_refusal(response, status)["faults"]] == fields
    check_untouched(endpoint)


async def test_its_events_may_go_ahead_step_by_step(endpoint: Endpoint) -> None:
    assert (await post(endpoint, [event(n, 24 * 399 * n) for n in range(5)])).status_code == 200


async def test_it_has_a_limit_of_its_own(given: Settings) -> None:
    endpoint = Endpoint(dataclasses.replace(given, max_batch_body_bytes=3000))
    assert (await post(endpoint, many(20))).status_code == 200
    assert (await post(endpoint, many(60))).status_code == 413


async def test_single_events_get_their_turn_between_its_parts(endpoint: Endpoint) -> None:
    running = asyncio.create_task(post(endpoint, many(1000)))
    while not len(endpoint.service.state):  # until its first part is taken in
        await asyncio.sleep(0)
    body = [json.dumps(event(5000, 1)).encode()]
    single = await call(endpoint, "/v1/score", body)
    assert (single.status_code, running.done()) == (200, False)
    assert (await running).status_code == 200


FULL = """
import asyncio, json, resource, sys
from pathlib import Path
from tests.serve.small import settings
from tests.serve.test_batch import many, post
from tests.serve.asked import features
from serve.endpoint import Endpoint
from serve.models import Models
from workbench.data.store import Store
folder = Path(sys.argv[1])
endpoint = Endpoint(settings(Store(str(folder / "store")), folder))
async def work():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    print((await post(endpoint, many(100))).status_code, len(endpoint.service.state), end=" ")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print((await post(endpoint, many(100))).status_code, len(endpoint.service.state))
asyncio.run(work())
print(json.dumps(features(endpoint.service)))
"""


async def test_a_part_that_cannot_be_recorded_does_not_count_and_sent_again_all_are_answered(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "full")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    counts, found = done.stdout.splitlines()
    assert counts == "503 33 200 100", "the first, near no clock yet, is a part by itself"
    await post(endpoint, many(100))
    assert json.loads(found) == features(endpoint.service)


BROKEN = 13  # the customer whose events fail
FAILED = {"error": {"code": "internal", "message": "This event failed here; it was not your fault."}}


def fail_in_features(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    """As a function of the user's that raises for the events of one customer."""
    of_row, broken = Vector.of_row, service.token("customer", BROKEN)

    def checked(self: Vector, row: dict[str, Any]) -> list[float]:
        if row["customer"] == broken:
            raise InputError("no number")
        return of_row(self, row)

    monkeypatch.setattr(Vector, "of_row", checked)


def fail_in_scores(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    """As a model that has no number for them."""
    decide_many, decide, broken = Models.decide_many, Models.decide, service.token("customer", BROKEN)

    def many_checked(self: Models, customers: Sequence[Any], found: Sequence[list[float]]) -> list[Decided]:
        if broken in customers:
            raise NoNumber("none")
        return list(decide_many(self, customers, found))

    def checked(self: Models, customer: Any, found: list[float]) -> Decided:
        if customer == broken:
            raise NoNumber("none")
        return decide(self, customer, found)

    monkeypatch.setattr(Models, "decide_many", many_checked)
    monkeypatch.setattr(Models, "decide", checked)


@pytest.mark.parametrize("fail", [fail_in_features, fail_in_scores])
class TestAnEventThatFails:
    async def test_has_an_error_in_its_place_whenever_it_is_sent_and_the_others_are_answered_and_count(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail: Any
    ) -> None:
        fail(monkeypatch, endpoint.service)
        events = many(80)
        events[50] = {**events[50], "customer": BROKEN}
        responses = [await post(endpoint, events) for _ in range(2)]
        assert [one.status_code for one in responses] == [200, 200]
        first, again = (json.loads(one.body)["results"] for one in responses)
        assert first == again
        assert first[50] == FAILED == msgspec.to_builtins(msgspec.convert(first[50], NoDecision))
        assert [place for place, one in enumerate(first) if "error" in one] == [50]
        assert len(logged(endpoint.service)) == len(endpoint.service.state) == 79
        assert "request b-50 failed: " in caplog.text

    async def test_has_it_too_where_the_log_was_asked_first(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, fail: Any
    ) -> None:
        events = many(3)
        events[1] = {**events[1], "customer": BROKEN}
        question = endpoint.service.question(EVENTS.decode(json.dumps(events[1])), "r")
        endpoint.service.state.placed(question.values)  # as an event of the history
        fail(monkeypatch, endpoint.service)
        answer = json.loads((await post(endpoint, events)).body)["results"]
        assert (answer[1], ["error" in one for one in answer]) == (FAILED, [False, True, False])


async def test_where_a_model_fails_none_of_its_part_counts(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    service = endpoint.service
    score(service, 900, 1)
    broken = dataclasses.replace(service.bundle, threshold="none")  # type: ignore[arg-type]
    monkeypatch.setattr(service, "models", Models(broken))
    answer = await post(endpoint, many(10))
    assert (answer.status_code, json.loads(answer.body)["results"]) == (200, [FAILED] * 10)
    assert (len(service.state), service.state.arrivals) == (1, 21), (
        "tried together, then alone; no number is used again"
    )


@pytest.mark.parametrize("fault", [Refusal(503, "Full."), StateUnavailable("away")])
async def test_a_fault_that_is_no_events_own_refuses_the_call_and_no_event_is_tried_alone(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    score(endpoint.service, 900, 1)
    tried = list[int]()

    def refuse(records: list[Any]) -> None:
        tried.append(len(records))
        raise fault

    monkeypatch.setattr(endpoint.service.predictions, "append", refuse)
    check_refusal(await post(endpoint, many(40)), 503)
    assert tried == [endpoint.service.state.together]
    assert len(endpoint.service.state) == 1


@needs_redis
class TestShared:
    async def test_it_is_the_same_where_replicas_share_the_state(
        self, given: Settings, server: Server, endpoint: Endpoint, tmp_path: Path
    ) -> None:
        shared = dataclasses.replace(settings(Store(str(tmp_path / "shared")), tmp_path / "s"), redis_url=server.url)
        one, other = Service(shared), Service(shared)
        events = [EVENTS.decode(json.dumps(row)) for row in many(60)]
        first = await batch.scored(one, events, "b", lambda: asyncio.sleep(0))
        assert await batch.scored(other, events, "c", lambda: asyncio.sleep(0)) == {**first, "request_id": "c"}
        one.compact()
        await post(endpoint, many(60))
        assert features(other) == features(endpoint.service)
