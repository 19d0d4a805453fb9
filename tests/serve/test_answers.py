"""Answers carry the security headers and the request's id; errors say the place and the rule, never the value."""

import ast
import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from serve import answers
from serve.answers import CODES, HEADERS, Refusal

SERVE = Path(answers.__file__).parent
MARK = "SECRET"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["a", "b"]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=10, pattern="^[a-z]*$")] = "a"
    inner: list[Inner] = []


INVALID = [
    ({"count": MARK}, "$.count", "Expected `int`, got `str`"),
    ({"count": -1}, "$.count", "Expected `int` >= 0"),
    ({"count": 10}, "$.count", "Expected `int` <= 9"),
    ({"name": ""}, "$.name", "Expected `str` of length >= 1"),
    ({"name": MARK * 9}, "$.name", "Expected `str` of length <= 10"),
    ({"name": MARK}, "$.name", "Expected `str` matching regex '^[a-z]*$'"),
    ({MARK: 1}, "$", "Object contains an unknown field"),
    ({"inner": [{"kind": "a", MARK: 1}]}, "$.inner[0]", "Object contains an unknown field"),
    ({"inner": [{"kind": "a"}, {"kind": MARK}]}, "$.inner[1].kind", "Not one of the allowed values"),
    ({"inner": [{}]}, "$.inner[0]", "Object missing required field `kind`"),
    ([MARK], "$", "Expected `object`, got `array`"),
]


@pytest.mark.parametrize(("body", "field", "rule"), INVALID)
def test_a_fault_names_the_place_and_the_rule_without_the_value(body: object, field: str, rule: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(json.dumps(body), type=Body)
    error = answers.invalid(caught.value)
    assert (error.status, error.faults) == (422, [{"field": field, "rule": rule}])
    assert MARK not in answers.refusal(error, "r").body.decode()


def test_an_answer_has_the_headers_and_the_request_id() -> None:
    response = answers.answer({"score": 0.1 + 0.2}, "abc")
    assert dict(response.headers) == {
        **HEADERS, "x-request-id": "abc", "content-type": "application/json", "content-length": "29",
    }  # fmt: skip
    assert (response.status_code, json.loads(response.body)) == (200, {"score": 0.1 + 0.2})


def test_nothing_is_cached_sniffed_or_framed() -> None:
    assert HEADERS["cache-control"] == "no-store"
    assert HEADERS["x-content-type-options"] == "nosniff"
    assert HEADERS["x-frame-options"] == "DENY"
    assert HEADERS["content-security-policy"] == "default-src 'none'"


def test_a_refusal_adds_its_own_headers() -> None:
    response = answers.refusal(Refusal(503, "Later.", retry_after="5"), "abc")
    assert (response.status_code, response.headers["retry-after"], response.headers["x-request-id"]) == (
        503,
        "5",
        "abc",
    )
    assert json.loads(response.body) == {
        "error": {"code": "not_ready", "message": "Later.", "request_id": "abc", "faults": []}
    }


def refused_statuses() -> dict[int, str]:
    """Each status that a `Refusal(...)` in the service is made with, and one place of it."""
    found = {}
    for path in SERVE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"
                found[node.args[0].value] = f"{path.name}:{node.lineno}"
    return found


def test_every_status_that_is_refused_with_has_a_code_and_every_code_is_used() -> None:
    assert set(refused_statuses()) == set(CODES)
    assert len(set(CODES.values())) == len(CODES)
