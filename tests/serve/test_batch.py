"""A batch is its events one after the other, with the same features and records; what is wrong is told by its place."""

import asyncio
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serve import batch
from serve.endpoint import Endpoint
from serve.models import Models
from serve.service import Service
from serve.settings import Settings
from tests.code.features.redis_server import Server, needs_redis
from tests.serve.asked import EVENTS, ROOT, at, features, logged, score
from tests.serve.small import settings
from tests.serve.test_endpoint import call, check_refusal, check_untouched
from workbench.data.store import Store


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


async def test_where_a_model_fails_none_of_its_part_counts(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    service = endpoint.service
    score(service, 900, 1)
    broken = dataclasses.replace(service.bundle, threshold="none")  # type: ignore[arg-type]
    monkeypatch.setattr(service, "models", Models(broken))
    assert (await post(endpoint, many(10))).status_code == 500
    assert (len(service.state), service.state.arrivals) == (1, 11), "numbers are not used again"


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
