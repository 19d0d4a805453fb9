"""The endpoint refuses everything that is wrong in one shape, and echoes none of it."""

import dataclasses
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from serve.answers import CODES, HEADERS
from serve.endpoint import Endpoint
from tests.serve.small import ACCESS, API_KEY, EVENT, die, settings
from workbench.data import labels
from workbench.data.store import Store
from workbench.feedback import prediction_log
from workbench.governance.keys import proof

OPEN = [route.partition(" ")[2] for route in ACCESS.open]
MARK = "SECRET"  # what is sent where it is wrong, and must not come back
LABEL = {"id": 1, "label": 1, "known_time": "2018-08-15T10:00:00Z"}
ROUTES = {
    "/v1/score": "POST",
    "/v1/score:batch": "POST",
    "/v1/explain": "POST",
    "/v1/models": "GET",
    "/v1/decisions/{id}": "GET",
    "/metrics": "GET",
    "/v1/feedback": "POST",
    "/v1/corrections": "POST",
    "/v1/admin/releases": "POST",
    "/healthz": "GET",
    "/readyz": "GET",
    "/openapi.json": "GET",
}


@pytest.fixture
def endpoint(store: Store, tmp_path: Path) -> Endpoint:
    return Endpoint(settings(store, tmp_path))


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    """One endpoint for all requests that it must refuse: none of them may change it."""
    folder = tmp_path_factory.mktemp("refusing")
    return Endpoint(dataclasses.replace(settings(Store(str(folder / "store")), folder), max_body_bytes=262_144))


async def call(
    endpoint: Endpoint, path: str, parts: Sequence[bytes] = (b"",), method: str = "POST", **headers: str | None
) -> Response:
    """The raw answer; a header that is None is not sent."""
    sent = {"authorization": f"Bearer {API_KEY}", "content_type": "application/json", **headers}
    named = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in sent.items() if v is not None]
    scope = {"type": "http", "method": method, "path": path, "headers": named, "query_string": f"q={MARK}".encode()}
    scope |= {"scheme": "http", "server": ("127.0.0.1", 80), "root_path": ""}
    left = list(parts)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return await endpoint(Request(scope, receive))


async def send(
    endpoint: Endpoint, path: str, body: bytes | dict[str, Any] = b"", method: str = "POST", **headers: str | None
) -> tuple[int, dict[str, Any], str]:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    response = await call(endpoint, path, [content], method, **headers)
    return response.status_code, json.loads(response.body), response.headers["x-content-type-options"]


def check_refusal(response: Response, status: int) -> dict[str, Any]:
    """The error of an answer that has the one shape, every security header, and nothing of what was sent."""
    assert response.status_code == status
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert response.headers["content-type"] == "application/json"
    answer = json.loads(response.body)
    assert set(answer) == {"error"}
    error: dict[str, Any] = answer["error"]
    assert set(error) == {"code", "message", "request_id", "faults"}
    assert (error["code"], error["request_id"]) == (CODES[status], response.headers["x-request-id"])
    assert all(set(fault) == {"field", "rule"} for fault in error["faults"])
    assert bool(error["faults"]) == (status == 422)
    assert MARK not in response.body.decode() + str(response.raw_headers)
    return error


def check_untouched(endpoint: Endpoint) -> None:
    assert (len(endpoint.service.state), endpoint.service.compact()) == (0, 0)


async def test_an_event_is_scored_and_recorded(endpoint: Endpoint) -> None:
    status, body, _ = await send(endpoint, "/v1/score", EVENT, x_request_id="abc")
    assert status == 200
    assert body["request_id"] == "abc"
    assert body["decision"] in ("flag", "pass")
    assert endpoint.service.compact() == 1
    row = prediction_log.predictions(endpoint.service.store, "small-raw").read().to_pylist()[0]
    assert (row["id"], row["score"], row["model_version"]) == ("1", body["score"], body["model_version"])
    assert [json.loads(row["event"])["customer"]] == row["entities"] != ["596"], "an entity is logged as a token only"


async def test_a_late_label_changes_the_features_of_later_events(endpoint: Endpoint) -> None:
    await send(endpoint, "/v1/score", EVENT)
    assert (await send(endpoint, "/v1/feedback", {"labels": [LABEL]}))[1] == {"accepted": 1, "in_feature_state": 1}
    await send(endpoint, "/v1/score", {**EVENT, "id": 2, "time": "2018-08-15T12:00:00Z"})
    endpoint.service.compact()
    rows = prediction_log.predictions(endpoint.service.store, "small-raw").read().sort_by("id").to_pylist()
    assert [row["features"][-1] for row in rows] == [0.0, 0.5]


def event_with(field: str, literal: str) -> bytes:
    """The event with a JSON text, right or wrong, in place of one value."""
    return b"{%s}" % b",".join(
        f'"{k}":{literal if k == field else json.dumps(v)}'.encode() for k, v in {**EVENT, field: None}.items()
    )


BAD_BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "blank": (b" \n", 400),
    "cut off": (b'{"id": 1, "SECRET', 400),
    "form": (b"id=1&customer=SECRET", 400),
    "two documents": (json.dumps(EVENT).encode() * 2, 400),
    "single quotes": (b"{'id': 'SECRET'}", 400),
    "comment": (b"/* SECRET */" + json.dumps(EVENT).encode(), 400),
    "trailing comma": (json.dumps(EVENT).encode()[:-1] + b",}", 400),
    "not UTF-8": (b"\xff\xfe", 400),
    "UTF-16": (json.dumps(EVENT).encode("utf-16"), 400),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(EVENT).encode(), 400),
    "lone surrogate": (event_with("time", r'"SECRET\ud800"'), 400),
    "NaN": (event_with("amount", "NaN"), 400),
    "Infinity": (event_with("amount", "Infinity"), 400),
    "-Infinity": (event_with("amount", "-Infinity"), 400),
    "number without end": (event_with("amount", "1" * 5000), 422),
    "number beyond floats": (event_with("amount", "1e400"), 422),
    "array": (json.dumps([EVENT]).encode(), 422),
    "text": (b'"SECRET"', 422),
    "null": (b"null", 422),
    "no fields": (b"{}", 422),
    "nested arrays": (b"[" * 100_000, 422),
    "nested arrays in a field": (event_with("amount", "[" * 100_000), 422),
    "nested objects in an unknown field": (event_with(MARK, '{"a":' * 40_000), 422),
    "unknown field": (event_with(MARK, "1"), 422),
    "prototype": (event_with("__proto__", '{"SECRET": 1}'), 422),
    "below the minimum": (event_with("amount", "-1"), 422),
    "fraction of a minor unit": (event_with("amount", "1.5"), 422),
    "whole number as a float": (event_with("amount", "100.0"), 422),
    "number as a text": (event_with("customer", '"SECRET"'), 422),
    "truth as a number": (event_with("amount", "true"), 422),
    "object as a number": (event_with("customer", '{"SECRET": 1}'), 422),
    "time without zone": (event_with("time", '"2018-08-15T09:00:00"'), 422),
    "date without time": (event_with("time", '"2018-08-15"'), 422),
    "day that is none": (event_with("time", '"2018-02-30T09:00:00Z"'), 422),
    "time as a number": (event_with("time", "1534323600"), 422),
    "time as words": (event_with("time", '"SECRET"'), 422),
    **{f"{name} is null": (event_with(name, "null"), 422) for name in EVENT},
    **{f"no {name}": (json.dumps({k: v for k, v in EVENT.items() if k != name}).encode(), 422) for name in EVENT},
}


@pytest.mark.parametrize(("body", "status"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_bad_event_gets_one_shape_and_no_echo_and_leaves_no_trace(
    refusing: Endpoint, body: bytes, status: int
) -> None:
    check_refusal(await call(refusing, "/v1/score", [body]), status)
    check_untouched(refusing)


BAD_LABELS: dict[str, Any] = {
    "none": {"labels": []},
    "null": {"labels": None},
    "not listed": {"labels": LABEL},
    "a list only": [LABEL],
    "1,001": {"labels": [LABEL] * 1001},
    "label 2": {"labels": [{**LABEL, "label": 2}]},
    "label -1": {"labels": [{**LABEL, "label": -1}]},
    "label true": {"labels": [{**LABEL, "label": True}]},
    "label as text": {"labels": [{**LABEL, "label": MARK}]},
    "label null": {"labels": [{**LABEL, "label": None}]},
    "id as text": {"labels": [{**LABEL, "id": MARK}]},
    "time without zone": {"labels": [{**LABEL, "known_time": "2018-08-15T10:00:00"}]},
    "no known time": {"labels": [{"id": 1, "label": 1}]},
    "scenario too long": {"labels": [{**LABEL, "scenario": MARK * 20}]},
    "scenario as a number": {"labels": [{**LABEL, "scenario": 1}]},
    "unknown field of a label": {"labels": [{**LABEL, MARK: 1}]},
    "unknown field": {"labels": [LABEL], MARK: 1},
    "one bad of many": {"labels": [LABEL] * 500 + [{**LABEL, "label": 2}]},
}


@pytest.mark.parametrize("body", BAD_LABELS.values(), ids=BAD_LABELS)
async def test_bad_labels_get_one_shape_and_none_of_them_is_taken(refusing: Endpoint, body: Any) -> None:
    check_refusal(await call(refusing, "/v1/feedback", [json.dumps(body).encode()]), 422)
    check_untouched(refusing)


@pytest.mark.parametrize(
    "text", [b"SECRET\xff", b"SECRET\xed\xa0\x80", b"SECRET\xc0\xaf", b"SECRET\x00", rb"\ud800SECRET"]
)
async def test_a_text_that_is_none_is_refused(refusing: Endpoint, text: bytes) -> None:
    body = json.dumps({"labels": [{**LABEL, "scenario": "?"}]}).encode().replace(b"?", text)
    check_refusal(await call(refusing, "/v1/feedback", [body]), 400)
    check_untouched(refusing)


async def test_a_fault_says_where_it_is(refusing: Endpoint) -> None:
    bad = {"labels": [LABEL, {**LABEL, "label": 2}]}
    error = check_refusal(await call(refusing, "/v1/feedback", [json.dumps(bad).encode()]), 422)
    assert error["faults"] == [{"field": "$.labels[1].label", "rule": "Not one of the allowed values"}]


async def test_a_thousand_labels_are_taken_at_once(tmp_path: Path, store: Store) -> None:
    endpoint = Endpoint(dataclasses.replace(settings(store, tmp_path), max_body_bytes=262_144))
    told = {"labels": [{**LABEL, "id": n} for n in range(1000)]}
    assert (await send(endpoint, "/v1/feedback", told))[:2] == (200, {"accepted": 1000, "in_feature_state": 0})
    assert endpoint.service.compact() == 1000
    assert sorted(labels.read(store, "raw")["id"].to_pylist()) == list(range(1000))


@pytest.mark.parametrize("declared", [None, "4097"])
async def test_a_body_above_the_limit_is_refused_and_one_at_the_limit_taken(
    endpoint: Endpoint, declared: str | None
) -> None:
    body = json.dumps(EVENT).encode()
    check_refusal(await call(endpoint, "/v1/score", [body.ljust(4097)], content_length=declared), 413)
    check_untouched(endpoint)
    assert (await call(endpoint, "/v1/score", [body.ljust(4096)], content_length="4096")).status_code == 200


async def test_a_body_in_parts_is_put_together_and_cut_off_when_it_grows_too_large(endpoint: Endpoint) -> None:
    body = json.dumps(EVENT).encode()
    parts = [body[at : at + 1] for at in range(len(body))]
    assert (await call(endpoint, "/v1/score", [b"", *parts, b""])).status_code == 200
    endless = [b" " * 1000] * 5
    check_refusal(await call(endpoint, "/v1/score", [*endless, b"never read"], content_length="10"), 413)


async def test_a_large_body_that_was_announced_is_not_read(refusing: Endpoint) -> None:
    check_refusal(await call(refusing, "/v1/score", [], content_length="262145"), 413)


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", MARK]
)
async def test_another_content_type_is_refused(refusing: Endpoint, content_type: str | None) -> None:
    body = json.dumps(EVENT).encode()
    check_refusal(await call(refusing, "/v1/score", [body], content_type=content_type), 415)
    check_untouched(refusing)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", " application/json "])
async def test_json_is_recognised_however_it_is_written(endpoint: Endpoint, content_type: str) -> None:
    assert (await send(endpoint, "/v1/score", EVENT, content_type=content_type))[0] == 200


BAD_KEYS = {
    "none": None,
    "empty": "",
    "no scheme": API_KEY,
    "scheme only": "Bearer",
    "no key": "Bearer ",
    "another scheme": f"Basic {API_KEY}",
    "another key": "Bearer wb_SECRET",
    "start of the key": f"Bearer {API_KEY[:-1]}",
    "more than the key": f"Bearer {API_KEY}SECRET",
    "other case": f"Bearer {API_KEY.upper()}",
    "two spaces": f"Bearer  {API_KEY}",
    "space behind": f"Bearer {API_KEY} ",
    "two keys": f"Bearer {API_KEY},wb_SECRET",
    "Latin-1": "Bearer \xe4\xff\x80SECRET",
    "NUL": f"Bearer {API_KEY}\0SECRET",
    "very long": "Bearer " + MARK * 10_000,
}


@pytest.mark.parametrize("path", [path for path in ROUTES if path not in OPEN])
@pytest.mark.parametrize("sent", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_without_the_key_the_body_is_not_even_read(refusing: Endpoint, path: str, sent: str | None) -> None:
    response = await call(refusing, path, [], ROUTES[path], authorization=sent)  # reading would fail: there is no part
    check_refusal(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_recognised_in_any_case(endpoint: Endpoint) -> None:
    assert (await send(endpoint, "/v1/score", EVENT, authorization=f"bEARER {API_KEY}"))[0] == 200


@pytest.mark.parametrize("path", OPEN)
async def test_what_holds_no_data_needs_no_key(refusing: Endpoint, path: str) -> None:
    assert (await send(refusing, path, method="GET", authorization=None, content_type=None))[0] == 200


UNKNOWN = ["", "/", "/SECRET", "/v1", "/v1/score/", "/V1/SCORE", "//v1/score", "/v1/score/../healthz", "/v1/score\0"]
ELSEWHERE = [
    "/v1/score%20",
    "/docs",
    "/v1/decisions",
    "/v1/decisions/",
    "/v1/decisions/1/2",
    "/-/routes",
    "/openapi.yaml",
    "/\u00e4SECRET",
    "/" + MARK * 2000,
]


@pytest.mark.parametrize("path", [*UNKNOWN, *ELSEWHERE])
async def test_an_unknown_route_is_refused(refusing: Endpoint, path: str) -> None:
    for method in ("GET", "POST"):
        check_refusal(await call(refusing, path, method=method), 404)


@pytest.mark.parametrize("path", ROUTES)
async def test_another_method_is_refused_with_the_right_one(refusing: Endpoint, path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", MARK} - {ROUTES[path]}:
        response = await call(refusing, path, method=method)
        check_refusal(response, 405)
        assert response.headers["allow"] == ROUTES[path]


def test_these_are_all_routes(refusing: Endpoint) -> None:
    assert {path: method for path, (method, _) in refusing._routes.items()} == ROUTES


@pytest.mark.parametrize("request_id", ["a", "A-b_c.9", "x" * 64])
async def test_a_request_id_comes_back(refusing: Endpoint, request_id: str) -> None:
    assert check_refusal(await call(refusing, "/", x_request_id=request_id), 404)["request_id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    ["", "SECRET" * 11, "SECRET SECRET", "SECRET\r\nset-cookie: a=b", "SECRET\n", '"SECRET"', "SECRET\xe4"],
)
async def test_an_odd_request_id_is_replaced_by_one_of_our_own(refusing: Endpoint, request_id: str) -> None:
    made = [check_refusal(await call(refusing, "/", x_request_id=request_id), 404)["request_id"] for _ in range(2)]
    assert all(len(one) == 20 and set(one) <= set("0123456789abcdef") for one in made)
    assert made[0] != made[1]


async def test_a_fault_of_ours_shows_neither_its_words_nor_what_was_sent(
    refusing: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        try:
            int(MARK)
        except ValueError as error:
            raise RuntimeError(MARK) from error

    monkeypatch.setattr(refusing.service, "scored", fail)
    with caplog.at_level(logging.DEBUG):
        error = check_refusal(await call(refusing, "/v1/score", [json.dumps(EVENT).encode()]), 500)
    assert MARK not in caplog.text
    assert error["request_id"] in caplog.text
    line = fail.__code__.co_firstlineno
    for kind, number in (("RuntimeError", line + 4), ("ValueError", line + 2)):
        assert re.search(rf"{kind} at .*{re.escape(__file__)}:{number} in fail", caplog.text), "where it happened"


async def test_a_restart_goes_on_where_it_was(endpoint: Endpoint) -> None:
    _, first, _ = await send(endpoint, "/v1/score", EVENT)
    die(endpoint.service)
    again = Endpoint(endpoint.settings)  # the first one's journal is taken over
    assert len(again.service.state) == 1
    _, second, _ = await send(again, "/v1/score", EVENT)
    assert second["score"] == first["score"]


async def test_readiness_names_the_version_and_counts_the_events(endpoint: Endpoint) -> None:
    await send(endpoint, "/v1/score", EVENT)
    ready: dict[str, Any] = {"status": "ready", "application": "small", "model_version": "v1"}
    ready |= {"release_step": 0, "events_in_state": 1}
    ready |= {"canary": None, "restart_needed": False}
    ready["settings"] = endpoint.settings.identity
    response = await call(endpoint, "/readyz", [], "GET")
    given, nonce = endpoint.settings.api_key_digest, response.headers["x-request-id"]
    assert json.loads(response.body) == {**ready, "proof": proof(given, ready["settings"], nonce)}
