"""The host's two routes, answered by the endpoint: the same score, the same shapes, and no key of the caller's."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve import sagemaker
from serve.sagemaker import Host
from tests.serve.small import EVENT, settings
from workbench.data.store import Store


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    one = Host(settings(Store(str(folder / "store")), folder))
    yield one
    one.endpoint.ended.set()
    gc.unfreeze()  # it is a replica


async def ask(host: Host, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    transport = httpx.ASGITransport(app=host)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://container") as client:
        return await client.request(method, path, content=content, headers=sent)


def event(number: int, **more: Any) -> bytes:
    return json.dumps({**EVENT, "id": number, **more}).encode()


async def test_ping_answers_when_a_version_can_score(host: Host) -> None:
    answer = await ask(host, "GET", "/ping")
    assert (answer.status_code, answer.json()["model_version"]) == (200, "v1")


async def test_an_invocation_is_scored_recorded_and_counted(host: Host) -> None:
    before = (await ask(host, "POST", "/invocations", event(1))).json()
    after = (await ask(host, "POST", "/invocations", event(2))).json()
    assert before["decision"] in ("pass", "flag")
    assert after["score"] > before["score"], "the second event of the customer sees the first"
    recorded = [path.read_text() for path in host.endpoint.settings.folder.glob("predictions-*")]
    assert before["request_id"] in "".join(recorded)


async def test_labels_go_the_way_that_the_hosts_header_names(host: Host) -> None:
    await ask(host, "POST", "/invocations", event(3))
    label = {"labels": [{"id": 3, "label": 1, "known_time": "2018-08-22T00:00:00Z"}]}
    told = await ask(
        host, "POST", "/invocations", json.dumps(label).encode(), x_amzn_sagemaker_custom_attributes="/v1/feedback"
    )
    assert told.json() == {"accepted": 1, "in_feature_state": 1}


@pytest.mark.parametrize(
    "route", ["/v1/admin/releases", "/v1/models", "/v1/decisions/1", "/v1/score/../admin/releases"]
)
async def test_the_hosts_header_opens_no_route_but_those_that_take_events_and_labels(host: Host, route: str) -> None:
    body = json.dumps({"action": "rollback", "reason": "because"}).encode()
    response = await ask(host, "POST", "/invocations", body, x_amzn_sagemaker_custom_attributes=route)
    assert response.status_code in (401, 403, 404), response.text


async def test_an_attribute_that_is_no_route_changes_nothing(host: Host) -> None:
    answer = await ask(host, "POST", "/invocations", event(4), x_amzn_sagemaker_custom_attributes="trace=9")
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/score"), ("GET", "/openapi.json"), ("GET", "/")])
async def test_nothing_but_the_hosts_routes_is_there(host: Host, method: str, path: str) -> None:
    answer = await ask(host, method, path, event(5))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_route")


async def test_the_callers_own_authorization_opens_nothing_and_closes_nothing(host: Host) -> None:
    assert (await ask(host, "POST", "/invocations", event(6), authorization="Bearer other")).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"{", "application/json", 400, "The body is not JSON."),
        (b'{"id": 1}', "application/json", 422, "The body breaks the schema; see /openapi.json."),
        (b"1,2,3", "text/csv", 415, "Send application/json."),
        (b" " * (6 * 1024 * 1024 + 1), "application/json", 413, "The body may have 6291456 bytes."),
    ],
)
async def test_a_bad_body_is_refused_in_one_sentence(
    host: Host, body: bytes, kind: str, status: int, said: str
) -> None:
    answer = await ask(host, "POST", "/invocations", body, content_type=kind)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, said)


def test_each_process_has_a_key_of_its_own(tmp_path: Path) -> None:
    given = settings(Store(str(tmp_path / "store")), tmp_path)
    hosts = [Host(given) for _ in range(2)]
    for one in hosts:
        one.endpoint.ended.set()
    keys = {one.endpoint.settings.api_key_digest for one in hosts}
    assert len(keys | {given.api_key_digest}) == 3
    assert sagemaker.MOST_BYTES == 6_291_456
