"""An explanation adds up to the log-odds, leaves nothing behind, and is of the features that were decided by."""

import dataclasses
import json
import math
from typing import Any

import pytest

from serve.endpoint import Endpoint
from serve.explain import Explaining
from serve.service import Service
from serve.settings import Settings
from tests.code.features.redis_server import Server, needs_redis
from tests.serve.asked import EVENTS, features, logged, score, tell
from tests.serve.small import EVENT, FEATURES
from tests.serve.test_endpoint import call, check_refusal


@pytest.fixture
def endpoint(given: Settings) -> Endpoint:
    return Endpoint(given)


async def explained(endpoint: Endpoint, event: dict[str, Any]) -> dict[str, Any]:
    response = await call(endpoint, "/v1/explain", [json.dumps(event).encode()])
    assert response.status_code == 200
    answer: dict[str, Any] = json.loads(response.body)
    return answer


async def test_it_adds_up_and_is_the_score_that_the_event_then_gets(endpoint: Endpoint) -> None:
    score(endpoint.service, 7, 0, customer=596)
    found = await explained(endpoint, EVENT)
    shares = {one["feature"]: one["contribution"] for one in found["contributions"]}
    assert found["base"] + math.fsum(shares.values()) == pytest.approx(found["log_odds"], abs=1e-9)
    assert shares == pytest.approx(dict(zip(FEATURES.names, (0.1, 0.002, 0.0), strict=True)), rel=1e-4)
    sizes = [abs(one["contribution"]) for one in found["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert found["members"] == [{"name": "linear", "weight": 1.0, "method": "shapley", "exact": True, "base": 0.0}]
    response = await call(endpoint, "/v1/score", [json.dumps(EVENT).encode()])
    decided = json.loads(response.body)
    assert {name: found[name] for name in ("score", "decision")} == {
        name: decided[name] for name in ("score", "decision")
    }


async def test_a_library_that_is_not_installed_is_told(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'xgboost'", name="xgboost")

    monkeypatch.setattr("workbench.models.explanation.Explainer.explain", missing)
    response = await call(endpoint, "/v1/explain", [json.dumps(EVENT).encode()])
    assert response.status_code == 501
    assert json.loads(response.body)["error"]["message"].startswith("No xgboost is installed here")


async def test_nothing_of_it_stays(endpoint: Endpoint, given: Settings) -> None:
    score(endpoint.service, 1, 0)
    before = (len(endpoint.service.state), endpoint.service.state.clock, endpoint.service.state.arrivals)
    await explained(endpoint, {**EVENT, "id": 2, "time": "2018-08-16T09:00:00Z"})
    after = (len(endpoint.service.state), endpoint.service.state.clock, endpoint.service.state.arrivals)
    assert after == before
    assert [row["id"] for row in logged(endpoint.service)] == ["1"]


async def test_a_decision_is_explained_by_the_features_that_it_was_made_with(endpoint: Endpoint) -> None:
    score(endpoint.service, 1, 9, customer=596)
    tell(endpoint.service, 1, 1, hours=9)
    first = await explained(endpoint, EVENT)
    endpoint.service.compact()
    assert (await explained(endpoint, EVENT))["contributions"] == first["contributions"]
    assert {one["feature"]: one["value"] for one in first["contributions"]} == dict(
        zip(FEATURES.names, features(endpoint.service)[0], strict=True)
    )
    check_refusal(await call(endpoint, "/v1/explain", [json.dumps({**EVENT, "amount": 5}).encode()]), 409)


async def test_reasons_are_what_the_seam_makes_of_the_contributions(endpoint: Endpoint) -> None:
    assert (await explained(endpoint, EVENT))["reasons"] == []
    endpoint.explaining = Explaining(endpoint.service, lambda shares: [{"code": "R1", "text": shares[0]["feature"]}])
    assert (await explained(endpoint, EVENT))["reasons"] == [{"code": "R1", "text": "amount"}]


@needs_redis
class TestShared:
    def test_nothing_of_it_stays_in_redis_either(self, given: Settings, server: Server) -> None:
        service = Service(dataclasses.replace(given, redis_url=server.url))
        score(service, 1, 0)
        held = {key: server.client.dump(key) for key in server.client.scan_iter()}
        question = service.asked(EVENTS.decode(json.dumps({**EVENT, "id": 2})), "r")
        found = Explaining(service).explain(question)
        assert {one["value"] for one in found["contributions"] if one["feature"].startswith("n_")} == {1.0}
        assert {key: server.client.dump(key) for key in server.client.scan_iter()} == held
        assert service.scored(question) is not None
        assert features(service)[-1] == [
            one["value"] for name in FEATURES.names for one in found["contributions"] if one["feature"] == name
        ]
