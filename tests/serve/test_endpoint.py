"""The endpoint refuses everything that is wrong in one shape, and echoes none of it."""

import json
from typing import Any

import pytest
from starlette.requests import Request

from serve.endpoint import Endpoint
from tests.serve.small import API_KEY, EVENT, settings
from workbench.data.store import Store
from workbench.feedback import prediction_log


@pytest.fixture
def endpoint(store: Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(settings(store, tmp_path))


async def send(
    endpoint: Endpoint, path: str, body: bytes | dict[str, Any] = b"", method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any], str]:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"authorization": f"Bearer {API_KEY}", "content_type": "application/json", **headers}
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named, "query_string": b"", "root_path": ""}
    scope |= {"scheme": "http", "server": ("127.0.0.1", 80)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    response = await endpoint(Request(scope, receive))
    return response.status_code, json.loads(response.body), response.headers["x-content-type-options"]


async def test_an_event_is_scored_and_recorded(endpoint: Endpoint) -> None:
    status, body, _ = await send(endpoint, "/v1/score", EVENT, x_request_id="abc")
    assert status == 200
    assert body["request_id"] == "abc"
    assert body["decision"] in ("flag", "pass")
    assert endpoint.service.compact() == 1
    row = prediction_log.predictions(endpoint.service.store, "small").read().to_pylist()[0]
    assert (row["id"], row["score"], row["model_version"]) == ("1", body["score"], body["model_version"])
    assert "596" not in row["event"], "an entity is logged as a token only"


async def test_a_late_label_changes_the_features_of_later_events(endpoint: Endpoint) -> None:
    await send(endpoint, "/v1/score", EVENT)
    told = {"labels": [{"id": 1, "label": 1, "known_time": "2018-08-15T10:00:00Z"}]}
    assert (await send(endpoint, "/v1/feedback", told))[1] == {"accepted": 1, "in_feature_state": 1}
    await send(endpoint, "/v1/score", {**EVENT, "id": 2, "time": "2018-08-15T12:00:00Z"})
    endpoint.service.compact()
    rows = prediction_log.predictions(endpoint.service.store, "small").read().sort_by("id").to_pylist()
    assert [row["features"][-1] for row in rows] == [0.0, 0.5]


BAD = [
    ("wrong key", {"authorization": "Bearer wb_wrong"}, EVENT, 401),
    ("no key", {"authorization": ""}, EVENT, 401),
    ("not json", {}, b"{", 400),
    ("not text", {}, b"\xff\xfe", 400),
    ("NaN", {}, json.dumps({**EVENT, "amount": float("nan")}).encode(), 400),
    ("wrong type", {}, {**EVENT, "amount": "SECRET"}, 422),
    ("unknown field", {}, {**EVENT, "SECRET": 1}, 422),
    ("missing field", {}, {"id": 1}, 422),
    ("below minimum", {}, {**EVENT, "amount": -1}, 422),
    ("time without zone", {}, {**EVENT, "time": "2018-08-15T09:00:00"}, 422),
    ("other content", {"content_type": "text/plain"}, EVENT, 415),
    ("too large", {}, b" " * 5000, 413),
]


@pytest.mark.parametrize(("headers", "body", "status"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
async def test_bad_requests_get_one_shape_and_no_echo(
    endpoint: Endpoint, headers: dict[str, str], body: Any, status: int
) -> None:
    found, answer, sniff = await send(endpoint, "/v1/score", body, **headers)
    assert (found, sniff) == (status, "nosniff")
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"code", "message", "request_id", "faults"}
    assert "SECRET" not in json.dumps(answer)


async def test_unknown_routes_and_methods_are_refused(endpoint: Endpoint) -> None:
    assert (await send(endpoint, "/nothing"))[0] == 404
    assert (await send(endpoint, "/v1/score", method="GET"))[0] == 405


async def test_a_restart_goes_on_where_it_was(endpoint: Endpoint) -> None:
    _, first, _ = await send(endpoint, "/v1/score", EVENT)
    again = Endpoint(endpoint.settings)  # the first one's journal is taken over
    assert len(again.service.state) == 1
    _, second, _ = await send(again, "/v1/score", EVENT)
    assert second["score"] == first["score"]


async def test_the_description_names_every_route_with_an_example(endpoint: Endpoint) -> None:
    _, document, _ = await send(endpoint, "/openapi.json", method="GET")
    assert set(document["paths"]) == set(endpoint._routes)
    example = document["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await send(endpoint, "/v1/score", example))[0] == 200
