"""Answers in one shape for every route and status, none of which repeats what was sent."""

import re
import traceback
from typing import Any

import msgspec
from starlette.responses import Response

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
JSON = "application/json"
CODES = {
    400: "not_json",
    401: "no_valid_key",
    403: "not_allowed",
    404: "no_such_route",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "not_json_content",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    501: "not_installed",
    503: "not_ready",
}
PLACE = re.compile(r" - at `(\$[\w.\[\]]*)`$")  # names of the schema only, never of the request
encode = msgspec.json.encode


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, faults: list[dict[str, str]] | None = None, **headers: str) -> None:
        super().__init__(status, message)
        self.status, self.message, self.faults = status, message, faults or []
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(body: Any, request_id: str, kind: str = JSON) -> Response:
    """An answer: JSON, unless it is bytes of another kind."""
    response = Response(body if isinstance(body, bytes) else encode(body), media_type=kind)
    response.raw_headers += [*ENCODED, (b"x-request-id", request_id.encode())]  # what is the same is encoded once
    return response


def refusal(error: Refusal, request_id: str) -> Response:
    """The one shape of all errors."""
    body = {"code": CODES[error.status], "message": error.message, "request_id": request_id, "faults": error.faults}
    headers = {**HEADERS, **error.headers, "x-request-id": request_id}
    return Response(encode({"error": body}), error.status, headers, JSON)


def traced(error: BaseException) -> str:
    """Where an error and its causes were raised, by kind, file and line; no messages, which may repeat a request."""
    frames = [f"{one.filename}:{one.lineno} in {one.name}" for one in traceback.extract_tb(error.__traceback__)]
    cause = error.__cause__ or error.__context__
    said = f"{type(error).__name__} at {' > '.join(frames)}"
    return f"{said}, after {traced(cause)}" if cause else said


def invalid(error: msgspec.ValidationError) -> Refusal:
    """What a body lacks: the field's path and the rule, without the value that broke it."""
    text, place = str(error), PLACE.search(str(error))
    rule = text[: place.start()] if place else text
    rule = re.sub(r"Invalid enum value .*", "Not one of the allowed values", rule, flags=re.DOTALL)
    rule = re.sub(r"Object contains unknown field .*", "Object contains an unknown field", rule, flags=re.DOTALL)
    fault = {"field": place[1] if place else "$", "rule": rule}
    return Refusal(422, "The body breaks the schema; see /openapi.json.", [fault])
