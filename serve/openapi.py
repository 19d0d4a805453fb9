"""The endpoint's description as OpenAPI 3.1, made from the same types that check the requests."""

import re
from typing import Any

import msgspec

from serve import admin, schemas
from serve import answer_types as answered
from serve.answers import CODES
from workbench.config import DataConfig

TEMPLATE = "#/components/schemas/{name}"
KEYED = (401, 403, 405, 429, 500, 503)  # what is refused of every route with a key
BODY = (400, 408, 413, 415, 422)  # and of a body
DECISION_EXAMPLE = {
    "request_id": "3f6c0a52c1d94b0f8a4e",
    "score": 0.0132,
    "decision": "pass",
    "model_version": "9c1d0a5b7e3f2d48",
    "feature_view_version": "a8a4ffb7f844fea4",
}
CONFLICT_EXAMPLE = {"error": {"code": CODES[409], "message": "Another event was answered under this id."}}
FOUND_EXAMPLE = {
    "id": "1",
    **DECISION_EXAMPLE,
    "member_logits": [-4.3],
    "event_time": "2018-08-15T09:00:00.000000Z",
    "received_at": "2018-08-15T09:00:00.120000Z",
    "latency_us": 310,
    "label": {
        "label": 1,
        "scenario": None,
        "known_time": "2018-08-22T00:00:00.000000Z",
        "recorded_at": "2018-08-22T00:00:01.000000Z",
    },
}
MODEL_EXAMPLE = {
    "alias": "champion",
    "percent": 100,
    "version": "9c1d0a5b7e3f2d48",
    "threshold": 0.42,
    "members": {"xgboost": 0.7, "torch_mlp": 0.3},
    "features": 15,
    "feature_view_version": "a8a4ffb7f844fea4",
    "since": "2018-08-15T08:00:00Z",
}
READY_EXAMPLE = {
    "status": "ready",
    "settings": "0b5c9a7f1e24d683",
    "proof": "5f0c1e6a9d3b7c82e4a1f6b09d2c7e35a8b4d1f0c6e92a7b3d5f8e1c0a4b6d97",
    "model_version": "9c1d0a5b7e3f2d48",
    "release_step": 7,
    "restart_needed": False,
    "events_in_state": 292160,
}
EXPLAINED_EXAMPLE = {
    **DECISION_EXAMPLE,
    "log_odds": -4.3144,
    "base": -4.9144,
    "contributions": [
        {"feature": "amount", "value": 100.0, "contribution": 0.8},
        {"feature": "customer_count_7d", "value": 3.0, "contribution": -0.2},
    ],
    "members": [{"name": "xgboost", "weight": 1.0, "method": "tree_shap", "exact": True, "base": -4.9144}],
    "reasons": [],
}
METRICS_EXAMPLE = 'workbench_requests_total{model_version="9c1d0a5b7e3f2d48",route="/v1/score",status="200"} 12.0\n'
AGAIN = {
    "name": "x-score-again",
    "in": "header",
    "description": "true: an event that was answered is scored once more, as a replay of the past asks",
    "schema": {"type": "string", "enum": ["true", "false"]},
}
NAMED = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "of the event, or of the request that it was answered under",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._-]+$"},
}
OBJECT = {"type": "object"}


def document(application: str, data: DataConfig) -> dict[str, Any]:
    """The whole description."""
    components, of = _components(data)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{application}: scoring", "version": "1"},
        "paths": _named({**_posts(data, of), **_gets(application, of)}),
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "API key: wb_..."}},
        },
    }


def _named(paths: dict[str, Any]) -> dict[str, Any]:
    """The routes with a name each, as generated clients call them: score, score_batch, decisions, ..."""
    for path, verbs in paths.items():
        words = re.findall(r"[a-z]+", path.removeprefix("/v1").removesuffix(".json").removesuffix("/{id}"))
        for one in verbs.values():
            one["operationId"] = "_".join(words)
    return paths


def _components(data: DataConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schemas, and a reference to each that a route names."""
    event = schemas.event_type(data)
    asked = [event, schemas.batch_type(event), schemas.feedback_type(data), schemas.corrections_type(data)]
    asked.append(admin.Release)
    decided = [answered.Decision, answered.NoDecision, answered.Decisions, answered.Explained]
    kinds: list[type] = [
        *asked,
        *decided,
        answered.Taken,
        answered.Released,
        answered.Models,
        answered.Found,
        answered.Error,
    ]
    references, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    of = {kind.__name__: reference for kind, reference in zip(kinds, references, strict=True)}
    each = components["Decisions"]["properties"]["results"]
    each["items"] = {"anyOf": [of["Decision"], of["NoDecision"]]}  # without a tag msgspec cannot tell the two
    return components, of


def _posts(data: DataConfig, of: dict[str, Any]) -> dict[str, Any]:
    event = schemas.example(data)
    told = {data.id: event.get(data.id, "1"), "label": 1, "known_time": "2018-08-22T00:00:00Z"}
    taken = [1, 2]
    counts = [{"accepted": count, "in_feature_state": count} for count in taken]
    batch = {"request_id": DECISION_EXAMPLE["request_id"], "results": [DECISION_EXAMPLE, CONFLICT_EXAMPLE]}
    events = {"events": [event, {**event, **_changed(data, event)}]}
    score = _post("Score one event", of["Event"], event, of["Decision"], DECISION_EXAMPLE, (409,))
    return {
        "/v1/score": {"post": {**score, "parameters": [AGAIN]}},
        "/v1/score:batch": {
            "post": _post("Score up to 1,000 events in their order", of["Batch"], events, of["Decisions"], batch)
        },
        "/v1/explain": {
            "post": _post("Explain a score", of["Event"], event, of["Explained"], EXPLAINED_EXAMPLE, (409, 501))
        },
        "/v1/feedback": {
            "post": _post("Tell up to 1,000 late labels", of["Feedback"], {"labels": [told]}, of["Taken"], counts[0])
        },
        "/v1/corrections": {
            "post": _post(
                "Correct or delete up to 1,000 events",
                of["Corrections"],
                schemas.example_of_corrections(data),
                of["Taken"],
                counts[1],
            )
        },
        "/v1/admin/releases": {"post": _released(of)},
    }


def _released(of: dict[str, Any]) -> dict[str, Any]:
    said = "Release a version, or take one back"
    return _post(said, of["Release"], admin.EXAMPLE, of["Released"], admin.ANSWER_EXAMPLE, (409,))


def _changed(data: DataConfig, event: dict[str, Any]) -> dict[str, Any]:
    """What makes the second event of the example another one under the same id, where a column can say so."""
    moved = {data.event_time: "2018-08-15T10:00:00Z"}
    return moved if data.event_time in event else {}


def _gets(application: str, of: dict[str, Any]) -> dict[str, Any]:
    found = _get("What was decided on an event", of["Found"], FOUND_EXAMPLE, (*KEYED, 404))
    metrics = _get("Metrics for Prometheus", None, METRICS_EXAMPLE, KEYED)
    models = {"application": application, "models": [MODEL_EXAMPLE]}
    ready = {**READY_EXAMPLE, "application": application}
    return {
        "/v1/models": {"get": _keyed(_get("Which models are live", of["Models"], models, KEYED))},
        "/v1/decisions/{id}": {"get": {**_keyed(found), "parameters": [NAMED]}},
        "/metrics": {"get": _keyed(metrics)},
        "/healthz": {"get": _get("The process lives", OBJECT, {"status": "ok"})},
        "/readyz": {"get": _get("A model version is live", OBJECT, ready)},
        "/openapi.json": {"get": _get("This document", OBJECT, {"openapi": "3.1.0"})},
    }


def _post(
    summary: str, asks: Any, request: Any, says: Any, response: Any, refused: tuple[int, ...] = ()
) -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": asks, "example": request}}}
    statuses = sorted((*KEYED, *BODY, *refused))
    responses = {"200": _ok(says, response), **{str(status): _error(status) for status in statuses}}
    return _keyed({"summary": summary, "requestBody": body, "responses": responses})


def _get(summary: str, says: Any, response: Any, refused: tuple[int, ...] = (405, 503)) -> dict[str, Any]:
    refusals = {str(status): _error(status) for status in sorted(refused)}
    return {"summary": summary, "responses": {"200": _ok(says, response), **refusals}}


def _keyed(operation: dict[str, Any]) -> dict[str, Any]:
    return {**operation, "security": [{"key": []}]}


def _ok(schema: Any, example: Any) -> dict[str, Any]:
    """`schema` None: plain text."""
    kind, shape = ("text/plain", {"type": "string"}) if schema is None else ("application/json", schema)
    return {"description": "done", "content": {kind: {"schema": shape, "example": example}}}


def _error(status: int) -> dict[str, Any]:
    error = {"code": CODES[status], "message": "What to do.", "request_id": "3f6c0a52c1d94b0f8a4e", "faults": []}
    shape = {"schema": {"$ref": TEMPLATE.format(name="Error")}, "example": {"error": error}}
    return {"description": CODES[status], "content": {"application/json": shape}}
