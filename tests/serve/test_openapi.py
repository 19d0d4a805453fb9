"""The description is OpenAPI 3.1, says what the endpoint does, and its examples work."""

import copy
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from jsonschema import Draft202012Validator

from serve import admin, openapi, schemas
from serve.answers import CODES
from serve.endpoint import Endpoint
from tests.serve.small import DATA, EVENT, settings
from tests.serve.test_endpoint import LABEL, ROUTES, call
from workbench.config import DataConfig
from workbench.data.store import Store
from workloads import door

SETS = {name: door.composed([f"experiment={name}"]).data for name in ("payments", "credit")} | {"small": DATA}
TEXT = {"type": "string"}
# What the specification asks of the parts that are used here; https://spec.openapis.org/oas/v3.1.0
MEDIA = {"type": "object", "properties": {"schema": {"type": "object"}, "example": {}}, "additionalProperties": False}
CONTENT = {"type": "object", "additionalProperties": MEDIA, "minProperties": 1}
RESPONSE = {
    "type": "object", "required": ["description"], "additionalProperties": False,
    "properties": {"description": TEXT, "content": CONTENT},
}  # fmt: skip
OPERATION = {
    "type": "object", "required": ["responses", "summary", "operationId"], "additionalProperties": False,
    "properties": {
        "summary": TEXT,
        "operationId": {"type": "string", "pattern": "^[a-z_]+$"},
        "parameters": {
            "type": "array",
            "items": {
                "type": "object", "required": ["name", "in", "schema"], "additionalProperties": False,
                "properties": {
                    "name": TEXT, "in": {"enum": ["path", "header"]}, "required": {"type": "boolean"},
                    "description": TEXT, "schema": {"type": "object"},
                },
            },
        },
        "security": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array"}}},
        "requestBody": {
            "type": "object", "required": ["content"], "additionalProperties": False,
            "properties": {"required": {"type": "boolean"}, "content": CONTENT},
        },
        "responses": {
            "type": "object", "patternProperties": {"^[1-5][0-9]{2}$": RESPONSE}, "additionalProperties": False,
            "minProperties": 1,
        },
    },
}  # fmt: skip
SPECIFICATION = {
    "type": "object", "required": ["openapi", "info", "paths", "components"], "additionalProperties": False,
    "properties": {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": {"type": "object", "required": ["title", "version"], "properties": {"title": TEXT, "version": TEXT}},
        "paths": {
            "type": "object", "additionalProperties": False,
            "patternProperties": {
                "^/": {"type": "object", "propertyNames": {"enum": ["get", "post"]}, "additionalProperties": OPERATION}
            },
        },
        "components": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "schemas": {"type": "object", "propertyNames": {"pattern": r"^[a-zA-Z0-9._-]+$"}},
                "securitySchemes": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object", "required": ["type", "scheme"],
                        "properties": {"type": {"const": "http"}, "scheme": {"const": "bearer"}},
                    },
                },
            },
        },
    },
}  # fmt: skip


@pytest.fixture(params=SETS)
def data(request: pytest.FixtureRequest) -> DataConfig:
    return SETS[request.param]


@pytest.fixture
def document(data: DataConfig) -> dict[str, Any]:
    return openapi.document("scores", data)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    folder = tmp_path_factory.mktemp("described")
    return Endpoint(dataclasses.replace(settings(Store(str(folder / "store")), folder), max_batch_body_bytes=4096))


def checker(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of one of the document's schemas, with the document's components in reach and formats checked."""
    whole = {**schema, "components": document["components"]}
    return Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return ((path, verb, one) for path, verbs in document["paths"].items() for verb, one in verbs.items())


def request_of(document: dict[str, Any], path: str) -> tuple[dict[str, Any], Any]:
    """Schema and example of a route's request body."""
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return content["schema"], content["example"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (one for key, one in value.items() if key == "$ref")
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(one)


def test_it_has_the_parts_that_the_specification_asks_for(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SPECIFICATION)
    Draft202012Validator(SPECIFICATION).validate(document)


def test_every_schema_is_json_schema_and_every_reference_is_there(document: dict[str, Any]) -> None:
    found = document["components"]["schemas"]
    for schema in found.values():
        Draft202012Validator.check_schema(schema)
    assert {name.removeprefix("#/components/schemas/") for name in references(document)} == set(found)


def test_it_is_plain_json(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_it_describes_every_route_with_its_method_and_no_other(document: dict[str, Any]) -> None:
    assert {(path, verb.upper()) for path, verb, _ in operations(document)} == set(ROUTES.items())


def test_the_routes_with_data_need_the_key_and_no_other(document: dict[str, Any]) -> None:
    assert {path for path, _, one in operations(document) if one.get("security") == [{"key": []}]} == {
        "/v1/score", "/v1/score:batch", "/v1/explain", "/v1/feedback", "/v1/corrections", "/v1/models",
        "/v1/decisions/{id}", "/metrics", "/v1/admin/releases",
    }  # fmt: skip
    assert set(document["components"]["securitySchemes"]) == {"key"}


def test_every_example_fits_its_schema_and_the_real_decoder(document: dict[str, Any], data: DataConfig) -> None:
    types = {
        "/v1/score": schemas.event_type(data),
        "/v1/score:batch": schemas.batch_type(schemas.event_type(data)),
        "/v1/explain": schemas.event_type(data),
        "/v1/feedback": schemas.feedback_type(data),
        "/v1/corrections": schemas.corrections_type(data),
        "/v1/admin/releases": admin.Release,
    }
    for path, kind in types.items():
        schema, example = request_of(document, path)
        checker(document, schema).validate(example)
        assert msgspec.json.decode(json.dumps(example), type=kind) is not None


def test_every_column_is_described_with_its_rules(document: dict[str, Any], data: DataConfig) -> None:
    event = document["components"]["schemas"]["Event"]
    assert event["additionalProperties"] is False
    assert set(event["required"]) == set(event["properties"]) == set(data.columns)
    for name, column in data.columns.items():
        found = event["properties"][name]
        widest = {"integer": schemas.INT64, "money": schemas.INT64, "number": schemas.FLOAT32}.get(column.type, {})
        low = widest.get("ge") if column.minimum is None else column.minimum
        high = widest.get("le") if column.maximum is None else column.maximum
        assert (found.get("minimum"), found.get("maximum")) == (low, high)
        assert sorted(found.get("enum", [])) == sorted(column.categories or [])
        assert column.categories or found.get("description", "") == column.description


def test_the_limit_of_a_feedback_call_is_described(document: dict[str, Any]) -> None:
    told = document["components"]["schemas"]["Feedback"]["properties"]["labels"]
    assert (told["minItems"], told["maxItems"]) == (1, 1000)


CHANGES: list[Any] = [1, -1, 10**9, 0.5, "", "1", "term_36", "2018-08-15T09:00:00Z", True, None, [], {}, [1]]


def test_the_schema_and_the_decoder_say_the_same_of_changed_examples(
    document: dict[str, Any], data: DataConfig
) -> None:
    schema, example = request_of(document, "/v1/score")
    decoder = msgspec.json.Decoder(schemas.event_type(data))
    disagreed = []
    for name in [*example, "unknown"]:
        for value in CHANGES:
            body = {**copy.deepcopy(example), name: value}
            if is_accepted(decoder, body) != checker(document, schema).is_valid(body):
                disagreed.append((name, value))
    # `format` is an annotation: what is no time at all is left to the decoder
    assert {name for name, _ in disagreed} <= {n for n, c in data.columns.items() if c.type == "timestamp"}
    assert {value for _, value in disagreed} <= {"", "1", "term_36"}


def is_accepted(decoder: msgspec.json.Decoder, body: Any) -> bool:
    try:
        decoder.decode(json.dumps(body))
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(("path", "method"), [one for one in ROUTES.items() if "/admin/" not in one[0]])
async def test_every_example_request_gets_an_answer_like_the_example(
    endpoint: Endpoint, path: str, method: str
) -> None:
    document = openapi.document("small", DATA)
    described = document["paths"][path][method.lower()]
    example = request_of(document, path)[1] if method == "POST" else None
    await call(endpoint, "/v1/score", [json.dumps(EVENT).encode()])  # is found by its id
    response = await call(endpoint, path.replace("{id}", str(EVENT["id"])), [json.dumps(example).encode()], method)
    assert response.status_code == 200
    ((kind, shown),) = described["responses"]["200"]["content"].items()
    assert response.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        answer = json.loads(response.body)
        checker(document, shown["schema"]).validate(answer)
        assert {name: type(answer[name]) for name in shown["example"] if shown["example"][name] is not None} == {
            name: type(value) for name, value in shown["example"].items() if value is not None
        } or path == "/v1/decisions/{id}", "what is not told yet is null"


def test_every_example_answer_fits_its_schema(document: dict[str, Any]) -> None:
    for _, _, one in operations(document):
        for response in one["responses"].values():
            for shown in response["content"].values():
                checker(document, shown["schema"]).validate(shown["example"])


async def test_the_document_that_is_served_is_this_one(endpoint: Endpoint) -> None:
    response = await call(endpoint, "/openapi.json", method="GET")
    assert json.loads(response.body) == openapi.document("small", DATA)


REFUSED = {
    400: {"parts": [b"{"]},
    401: {"authorization": None},
    405: {"method": "DELETE"},
    413: {"parts": [b" " * 5000]},
    415: {"content_type": "text/plain"},
    422: {"parts": [json.dumps({"labels": [{**LABEL, "label": 2}]}).encode()]},
}


@pytest.mark.parametrize("path", [path for path, method in ROUTES.items() if method == "POST"])
@pytest.mark.parametrize(("status", "request_"), REFUSED.items(), ids=REFUSED)
async def test_a_real_refusal_is_described_and_fits_the_schema_of_errors(
    endpoint: Endpoint, path: str, status: int, request_: dict[str, Any]
) -> None:
    document = openapi.document("small", DATA)
    response = await call(endpoint, path, **request_)
    described = document["paths"][path]["post"]["responses"][str(response.status_code)]
    assert response.status_code == status
    assert described["description"] == CODES[status]
    checker(document, described["content"]["application/json"]["schema"]).validate(json.loads(response.body))


def test_the_error_schema_knows_every_code(document: dict[str, Any]) -> None:
    error = document["components"]["schemas"]["Refused"]
    assert error["properties"]["code"]["enum"] == sorted(CODES.values())


def test_the_title_names_the_application() -> None:
    assert openapi.document("payments", DATA)["info"]["title"] == "payments: scoring"


def test_nothing_of_this_machine_is_in_the_document(endpoint: Endpoint) -> None:
    text, own = json.dumps(endpoint._openapi), endpoint.settings
    assert [one for one in (own.store, own.journal, own.keys_folder, own.api_key_digest) if one in text] == []
