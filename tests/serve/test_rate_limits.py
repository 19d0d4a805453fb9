"""A client gets its rate and no more, from one process as from several that share a Redis."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve import rate_limits
from serve.endpoint import Endpoint
from serve.principals import Roles
from serve.rate_limits import InProcess, Shared
from tests.code.features import redis_server
from tests.code.features.redis_server import Server, needs_redis
from tests.serve.small import ACCESS, EVENT, settings
from tests.serve.test_endpoint import call, check_refusal
from workbench.data.store import Store
from workbench.errors import StateUnavailable


class Clock:
    """The time, which passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(rate_limits.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def passed(limits: rate_limits.Limits, times: int, rate: float = 10, client: str = "shop") -> int:
    return sum(limits.take(client, rate) == 0 for _ in range(times))


def test_a_burst_passes_then_the_rate(clock: Clock) -> None:
    limits = InProcess(burst_s=2)
    assert passed(limits, 50) == 20
    clock.now += 0.5
    assert passed(limits, 50) == 5
    clock.now += 3600
    assert passed(limits, 50) == 20, "what was not used is not saved up"


def test_the_wait_is_as_long_as_it_takes(clock: Clock) -> None:
    limits = InProcess(burst_s=1)
    passed(limits, 10)
    wait_s = limits.take("shop", 10)
    assert wait_s == pytest.approx(0.1)
    clock.now += wait_s + 1e-6
    assert limits.take("shop", 10) == 0


def test_what_costs_more_takes_more_and_more_than_a_bucket_passes_once_it_is_full(clock: Clock) -> None:
    limits = InProcess(burst_s=2)
    assert limits.take("shop", 10, 15) == 0
    assert limits.take("shop", 10, 6) == pytest.approx(0.1)
    assert passed(limits, 50) == 5
    clock.now += 2
    assert limits.take("shop", 10, 100) == 0
    assert limits.take("shop", 10) == pytest.approx(8.1), "it left a debt"


async def test_each_event_of_a_batch_counts(store: Store, tmp_path: Path, clock: Clock) -> None:
    given = settings(store, tmp_path)
    endpoint = Endpoint(replace(given, access=replace(ACCESS, rates={"admin": 2.5})))  # five at once

    async def batch(first: int, events: int) -> Any:
        body = {"events": [{**EVENT, "id": first + number} for number in range(events)]}
        return await call(endpoint, "/v1/score:batch", [json.dumps(body).encode()])

    assert (await batch(0, 4)).status_code == 200
    check_refusal(await batch(10, 2), 429)
    assert len(endpoint.service.state) == 4


def test_clients_do_not_take_from_one_another(clock: Clock) -> None:
    limits = InProcess(burst_s=1)
    assert [passed(limits, 20, client=name) for name in ("shop", "lab")] == [10, 10]


def test_a_rate_below_one_lets_one_pass(clock: Clock) -> None:
    limits = InProcess(burst_s=1)
    assert passed(limits, 5, rate=0.5) == 1
    clock.now += 2
    assert passed(limits, 5, rate=0.5) == 1


def test_the_buckets_of_many_clients_are_forgotten_once_they_are_full(clock: Clock) -> None:
    limits = InProcess(burst_s=1)
    for number in range(rate_limits.CLIENTS):
        limits.take(f"c{number}", 10)
    clock.now += 2
    limits.take("shop", 10)
    assert len(limits._buckets) == 1


def test_the_most_that_a_role_of_a_client_may_is_its_rate() -> None:
    roles = Roles(replace(ACCESS, rates={"scorer": 5, "feedback": 7}))
    given = {5: ["scorer"], 7: ["scorer", "feedback"], None: ["scorer", "admin"]}
    assert {rate: roles.principal("c", one).rate for rate, one in given.items()} == {rate: rate for rate in given}


async def test_above_the_rate_is_429_with_when_to_come_again_and_the_body_is_not_read(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    given = settings(store, tmp_path)
    endpoint = Endpoint(replace(given, access=replace(ACCESS, rates={"admin": 0.25})))
    body = json.dumps(EVENT).encode()
    assert (await call(endpoint, "/v1/score", [body])).status_code == 200
    response = await call(endpoint, "/v1/score", [])
    check_refusal(response, 429)
    assert response.headers["retry-after"] == "4"
    assert (await call(endpoint, "/healthz", method="GET")).status_code == 200
    clock.now += 4
    assert (await call(endpoint, "/v1/score", [body])).status_code == 200


@needs_redis
class TestShared:
    """Several replicas on one Redis."""

    @pytest.fixture
    def replicas(self, server: Server) -> list[Shared]:
        return [Shared("small", 1.0, server.url) for _ in range(3)]

    @pytest.mark.parametrize("rate", [2, 40, 400])
    def test_all_together_get_the_rate_of_one(self, replicas: list[Shared], rate: float) -> None:
        start, count = time.monotonic(), 0
        while (took := time.monotonic() - start) < 0.6:
            count += sum(passed(one, 7, rate) for one in replicas)
        held = len(replicas) * max(1, rate * rate_limits.LEASE_S)
        assert rate + took * rate / 2 - held - 1 <= count <= rate + took * rate + 1

    def test_what_costs_more_is_taken_whole_or_not_at_all(self, replicas: list[Shared]) -> None:
        assert replicas[0].take("shop", 100, 80) == 0
        assert 0 < replicas[1].take("shop", 100, 80) < 0.7
        assert replicas[1].take("lab", 100, 1000) == 0
        assert 8 < replicas[2].take("lab", 100) <= 9.1

    def test_a_debt_outlives_the_burst(self, replicas: list[Shared], server: Server) -> None:
        assert replicas[0].take("lab", 100, 1000) == 0
        (key,) = server.client.keys("*lab")
        assert server.client.pttl(key) > 9000, "what is owed takes nine seconds, a full bucket one"

    def test_most_requests_ask_nobody(self, replicas: list[Shared], server: Server) -> None:
        def calls() -> int:
            return int(server.client.info("commandstats")["cmdstat_evalsha"]["calls"])

        passed(replicas[0], 1, 1000)
        before = calls()
        assert passed(replicas[0], 199, 1000) == 199
        assert calls() - before <= 5
        passed(replicas[0], 10_000, 1000)
        before = calls()
        passed(replicas[0], 100, 0.1, client="slow")
        assert calls() - before <= 2, "who has to wait is told so without another question"

    def test_a_bucket_is_forgotten_by_redis_once_it_is_full(self, replicas: list[Shared], server: Server) -> None:
        passed(replicas[0], 1, 10)
        (key,) = server.client.keys("*")
        assert key == b"workbench:limits:small:shop"
        assert 0 < server.client.pttl(key) <= 2000

    def test_where_nobody_counts_nothing_passes_and_it_is_said(self, replicas: list[Shared], server: Server) -> None:
        passed(replicas[0], 1)
        redis_server.stop(server)
        with pytest.raises(StateUnavailable, match=r"Redis at .* does not count requests \(ConnectionError\)"):
            passed(replicas[1], 1)
