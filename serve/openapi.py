"""The endpoint's description as OpenAPI 3.1, made from the same types that check the requests."""

from typing import Any

import msgspec

from serve import admin, schemas
from serve.answers import CODES
from workbench.config import DataConfig

TEMPLATE = "#/components/schemas/{name}"
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": sorted(set(CODES.values()))},
                "message": {"type": "string"},
                "request_id": {"type": "string"},
                "faults": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["code", "message", "request_id", "faults"],
        }
    },
    "required": ["error"],
}
DECISION_EXAMPLE = {
    "request_id": "3f6c0a52c1d94b0f8a4e",
    "score": 0.0132,
    "decision": "pass",
    "model_version": "9c1d0a5b7e3f2d48",
    "feature_view_version": "a8a4ffb7f844fea4",
}


READY_EXAMPLE = {
    "status": "ready",
    "settings": "0b5c9a7f1e24d683",
    "proof": "5f0c1e6a9d3b7c82e4a1f6b09d2c7e35a8b4d1f0c6e92a7b3d5f8e1c0a4b6d97",
    "model_version": "9c1d0a5b7e3f2d48",
    "release_step": 7,
    "events_in_state": 292160,
}


def document(application: str, data: DataConfig) -> dict[str, Any]:
    """The whole description."""
    kinds = [schemas.event_type(data), schemas.feedback_type(data), schemas.corrections_type(data), admin.Release]
    (event, feedback, corrections, release), components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    told = {data.id: schemas.example(data).get(data.id, "1"), "label": 1, "known_time": "2018-08-22T00:00:00Z"}
    paths = {
        "/v1/score": {"post": _post("Score one event", event, schemas.example(data), DECISION_EXAMPLE)},
        "/v1/feedback": {
            "post": _post(
                "Tell up to 1,000 late labels", feedback, {"labels": [told]}, {"accepted": 1, "in_feature_state": 1}
            )
        },
        "/v1/corrections": {
            "post": _post(
                "Correct or delete up to 1,000 events",
                corrections,
                schemas.example_of_corrections(data),
                {"accepted": 2, "in_feature_state": 2},
            )
        },
        "/v1/admin/releases": {
            "post": _post("Release a version, or take it back", release, admin.EXAMPLE, admin.ANSWER_EXAMPLE, 409)
        },
        "/healthz": {"get": _get("The process lives", {"status": "ok"})},
        "/readyz": {"get": _get("A model version is live", {**READY_EXAMPLE, "application": application})},
        "/openapi.json": {"get": _get("This document", {"openapi": "3.1.0"})},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{application}: scoring", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "API key: wb_..."}},
        },
    }


def _post(summary: str, schema: Any, request: Any, response: Any, *more: int) -> dict[str, Any]:
    refusals = {
        str(status): _error(status) for status in sorted((*more, 400, 401, 403, 405, 408, 413, 415, 422, 429, 500, 503))
    }
    return {
        "summary": summary,
        "security": [{"key": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": request}}},
        "responses": {"200": _ok(response), **refusals},
    }


def _get(summary: str, response: Any) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _ok(response), "405": _error(405), "503": _error(503)}}


def _ok(example: Any) -> dict[str, Any]:
    return {"description": "done", "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}


def _error(status: int) -> dict[str, Any]:
    return {
        "description": CODES[status],
        "content": {"application/json": {"schema": {"$ref": TEMPLATE.format(name="Error")}}},
    }
