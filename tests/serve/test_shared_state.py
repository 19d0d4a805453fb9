"""An endpoint whose state lies in Redis answers as one that holds it itself, and says so when Redis is away."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench.features
from serve.endpoint import Endpoint
from serve.service import Service, Settings
from tests.code.features import redis_server
from tests.code.features.redis_server import Server, needs_redis
from tests.serve import test_corrections
from tests.serve.small import EVENT, settings
from tests.serve.test_endpoint import LABEL, call
from tests.serve.test_service import features, score, tell
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.features.redis_state import RedisState
from workloads import deploy, door

pytestmark = needs_redis


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with redis_server.own(monkeypatch) as one:
        yield one


@pytest.fixture
def shared(store: Store, tmp_path: Path, server: Server) -> Settings:
    return dataclasses.replace(settings(store, tmp_path), redis_url=server.url)


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
    deploy._check_state(cfg)
    redis_server.stop(server)
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        deploy._check_state(cfg)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "workbench.features.redis_link")
    monkeypatch.delattr(workbench.features, "redis_link")
    with pytest.raises(EnvironmentFault, match=r"Run: pip install 'ray-ai-workbench\[redis\]'"):
        deploy._check_state(cfg)


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
    assert test_corrections.seen(Service(given), 13)[1] == 104
    server.client.flushall()
    assert test_corrections.seen(Service(given), 14)[1] == 104
