"""An endpoint whose state lies in Redis answers as one that holds it itself, and says so when Redis is away."""

import asyncio
import dataclasses
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import workbench.features
from serve import feature_state
from serve.endpoint import Endpoint
from serve.schemas import micros
from serve.service import Service
from serve.settings import Settings
from tests.code.features import redis_server
from tests.code.features.redis_server import Server, needs_redis
from tests.serve import test_corrections
from tests.serve.asked import CUSTOMER, START, features, logged, refused_in, restarted, score, tell
from tests.serve.small import EVENT, FEATURES, die, settings
from tests.serve.test_endpoint import LABEL, call
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.features import parity
from workbench.features.labels import PositiveIntervals
from workbench.features.redis_state import RedisState
from workbench.feedback import prediction_log
from workloads import door
from workloads.endpoint import live

pytestmark = needs_redis


def asked(endpoint: Endpoint, path: str, body: Any = None) -> tuple[int, Any, Any]:
    method = "GET" if body is None else "POST"
    answer = asyncio.run(call(endpoint, path, [json.dumps(body).encode()], method))
    return answer.status_code, json.loads(answer.body), answer.headers.get("retry-after")


def lived(service: Service) -> list[list[float]]:
    for identity, hours in enumerate((0, 1, 1, 24)):
        score(service, identity, hours, amount=identity)
    assert tell(service, 1, 1, 30) == {"accepted": 1, "in_feature_state": 1}
    score(service, 9, 48)
    return features(service)


def test_the_answers_are_those_of_a_state_in_process(shared: Settings, tmp_path: Path) -> None:
    service = Service(shared)
    assert isinstance(service.state, RedisState)
    alone = settings(Store(str(tmp_path / "other")), tmp_path / "other")
    assert lived(service) == lived(Service(alone))


def test_another_endpoint_goes_on_from_the_same_state_and_a_lost_one_is_filled_from_the_log(
    shared: Settings, server: Server
) -> None:
    lived(Service(shared))
    second = Service(shared)
    score(second, 10, 49)
    assert features(second)[-1] == [100, 6, 1 / 6]
    server.client.flushall()
    score(third := Service(shared), 11, 50)
    assert features(third)[-1] == [100, 7, 1 / 7]


class TestReplicas:
    """Two of them, as they live in two processes: nothing is shared but Redis, the journal's folder and the store."""

    @pytest.fixture
    def quick(self, shared: Settings) -> Settings:
        return dataclasses.replace(shared, compact_every_s=0.2)

    def test_asked_at_once_they_log_what_can_be_computed_again_to_the_last_bit(self, quick: Settings) -> None:
        served, differing = computed_again(asked_at_once(quick, 240))
        assert sorted(served["arrival"].to_pylist()) == list(range(1, 241)), "one order, whoever was asked"
        assert differing == 0

    def test_a_state_that_is_lost_meanwhile_is_filled_with_what_the_other_had_only_recorded(
        self, quick: Settings, server: Server
    ) -> None:
        other = Service(quick)
        for identity in range(5):
            score(other, identity, identity)
        tell(other, 0, 1, 4)
        server.client.flushall()
        score(again := Service(quick), 5, 5)
        assert features(again)[-1] == [100, 6, 1 / 6]
        rows = logged(again)
        assert [row["arrival"] for row in rows] == list(range(1, 7)), "the numbers go on"

    def test_of_two_that_start_together_after_a_kill_one_fills_and_all_is_counted_once(
        self, shared: Settings, quick: Settings, server: Server
    ) -> None:
        before = [Service(shared), Service(shared)]
        for identity in range(20):
            score(before[identity % 2], identity, identity)
        for one in before:
            die(one)
        server.client.flushall()
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(Service, [quick] * 2)
        score(one, 20, 20)
        assert features(one)[-1] == [100, 21, 0]
        assert len(other.state) == len(logged(other)) == 21

    def test_what_a_dead_one_has_recorded_is_moved_by_the_other(self, shared: Settings) -> None:
        first, second = Service(shared), Service(shared)
        score(first, 1, 0)
        assert second.compact() == 0, "the first lives and moves it"
        die(first)
        assert second.compact() == 1
        assert [row["id"] for row in logged(second)] == ["1"]

    def test_an_event_that_was_taken_in_but_not_recorded_keeps_its_number(self, shared: Settings) -> None:
        first, second = Service(shared), Service(shared)
        event = {"id": 1, "time": micros(START), "customer": second.token("customer", CUSTOMER), "amount": 100}
        first.state.placed(event)
        die(first)
        score(second, 2, 1)
        score(second, 1, 0)
        assert [(row["id"], row["arrival"], row["as_of"]) for row in logged(second)] == [("2", 2, 2), ("1", 1, 2)]
        assert computed_again(shared)[1] == 0


class TestWhatIsNotRecorded:
    """An event that Redis has taken in, and the log not, does not count."""

    def test_an_event_that_the_disk_refuses_does_not_count(self, tmp_path: Path, server: Server) -> None:
        assert refused_in(tmp_path, server.url) == ["503", "[1, 2, 3]"]

    @pytest.mark.parametrize("who", ["the other one", "the next one"])
    def test_an_event_of_a_replica_that_is_killed_before_its_record_is_taken_out_again(
        self, shared: Settings, server: Server, who: str
    ) -> None:
        dying = Service(shared)
        score(dying, 1, 0)
        other = Service(shared)
        dying.state.placed(placed(dying, 2, 1))
        die(dying)
        if who == "the other one":
            feature_state.settle(other)
        else:
            other = Service(shared)
        score(other, 3, 2)
        assert [count for _, count, _ in features(other)] == [1, 2]
        server.client.flushall()
        score(again := Service(shared), 4, 3)
        assert features(again)[-1] == [100, 3, 0], "and the log says the same"

    @pytest.mark.parametrize("moved", [False, True], ids=["journal", "table"])
    def test_an_event_that_is_recorded_stays_though_its_replica_has_died(self, shared: Settings, moved: bool) -> None:
        dying, other = Service(shared), Service(shared)
        score(dying, 1, 0)
        if moved:
            dying.compact()
        die(dying)
        feature_state.settle(other)
        score(other, 2, 1)
        assert features(other)[-1] == [100, 2, 0]
        assert len(list(shared.folder.glob("*.replica"))) == 1, "the dead one is forgotten"

    def test_a_replica_that_lives_is_not_meddled_with(self, shared: Settings) -> None:
        one, other = Service(shared), Service(shared)
        one.state.placed(placed(one, 1, 0))
        feature_state.settle(other)
        assert len(other.state) == 1

    def test_an_event_that_was_asked_again_elsewhere_stays(self, shared: Settings) -> None:
        dying, other = Service(shared), Service(shared)
        dying.state.placed(placed(dying, 1, 0))
        die(dying)
        score(other, 1, 0)
        feature_state.settle(other)
        score(other, 2, 1)
        assert features(other)[-1] == [100, 2, 0]


def placed(service: Service, identity: int, hours: float) -> dict[str, Any]:
    """An event as the state is given it."""
    time = micros(START) + round(hours * 3_600_000_000)
    return {"id": identity, "time": time, "customer": service.token("customer", CUSTOMER), "amount": 100}


def asked_at_once(given: Settings, count: int) -> Settings:
    """Two replicas that four clients ask at once for events of three customers, each once, in any order of time."""
    services = [Service(given), Service(given)]
    order = np.random.default_rng(0).permutation(count)

    def send(client: int) -> None:
        for at in order[client::4].tolist():
            score(services[client % 2], at, at / 4, customer=at % 3, amount=at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    for service in services:
        service.compact()
    return given


def computed_again(given: Settings) -> tuple[pa.Table, int]:
    """The log, and how many of its numbers are not the offline ones."""
    rows = prediction_log.predictions(Store(given.store), given.log).read()
    served = prediction_log.first_answers(rows)
    asked = parity.events_of(served, given.data)
    nothing = PositiveIntervals(*[np.zeros(0, np.int64)] * 3)
    found, _ = parity.recomputed(FEATURES, asked.drop_columns(parity.NUMBERS).slice(0, 0), asked, nothing)
    offline = np.stack([found[name] for name in FEATURES.names], axis=1)
    result = parity.compare(FEATURES.names, served["id"].to_pylist(), np.array(served["features"].to_pylist()), offline)
    assert result.control
    return served, result.differing


def test_an_event_far_ahead_of_what_another_replica_has_seen_is_no_event_far_ahead(shared: Settings) -> None:
    first, second = (Service(dataclasses.replace(shared, ahead_days=2.0)) for _ in range(2))
    for identity, hours in enumerate((0, 40, 80)):
        score(first, identity, hours)
    score(second, 9, 100)
    assert len(second.state) == 4


def test_while_redis_is_away_requests_get_503_and_nothing_is_recorded(shared: Settings, server: Server) -> None:
    endpoint = Endpoint(shared)
    assert asked(endpoint, "/v1/score", EVENT)[0] == 200
    redis_server.stop(server)
    journal = {path: path.read_bytes() for path in shared.folder.iterdir()}
    for path, body in (
        ("/v1/score", {**EVENT, "id": 2}),
        ("/v1/feedback", {"labels": [LABEL]}),
        ("/readyz", None),
    ):
        status, answer, retry_after = asked(endpoint, path, body)
        assert (status, answer["error"]["code"], retry_after) == (503, "not_ready", "5")
        assert server.url not in str(answer)
    assert asked(endpoint, "/healthz")[0] == 200
    assert {path: path.read_bytes() for path in shared.folder.iterdir()} == journal


def test_a_label_that_a_full_redis_cannot_take_is_not_recorded(shared: Settings, server: Server) -> None:
    endpoint = Endpoint(shared)
    asked(endpoint, "/v1/score", EVENT)
    server.client.config_set("maxmemory", 1)
    assert asked(endpoint, "/v1/feedback", {"labels": [LABEL]})[0] == 503
    assert not [path for path in shared.folder.glob("feedback*") if path.stat().st_size]


def test_a_deployment_is_refused_before_anything_starts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = door.composed(["serve.state=redis", f"serve.redis_url={server.url}"])
    live._check_state(cfg)
    redis_server.stop(server)
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        live._check_state(cfg)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "workbench.features.redis_link")
    monkeypatch.delattr(workbench.features, "redis_link")
    with pytest.raises(EnvironmentFault, match=r"Run: pip install 'ray-ai-workbench\[redis\]'"):
        live._check_state(cfg)


def test_corrections_are_seen_as_in_process_and_again_by_a_state_that_is_filled_anew(
    store: Store, tmp_path: Path, server: Server
) -> None:
    given = dataclasses.replace(settings(store, tmp_path, features=test_corrections.FEATURES), redis_url=server.url)
    service = Service(given)
    for identity in range(6):
        score(service, identity, identity, amount=10 * identity)
    version = test_corrections.version(1, 7)
    told = test_corrections.correct(service, (1, 10, version), (2, 10, None), (3, 12, version), (99, 12, None))
    assert told == {"accepted": 4, "in_feature_state": 3}
    found = [test_corrections.seen(service, hours)[1] for hours in (9, 10, 12)]
    assert found == [150, 127, 104], "without 2 and 1's old amount, then without 3's"
    service = restarted(service)
    assert test_corrections.seen(service, 13)[1] == 104
    server.client.flushall()
    assert test_corrections.seen(restarted(service), 14)[1] == 104
