"""The whole API as its description says it, asked by schemathesis with all its checks: with the key, and without."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from starlette.requests import Request

from serve import openapi
from serve.endpoint import Endpoint
from tests.serve.small import API_KEY, DATA, settings
from tests.serve.test_endpoint import OPEN
from workbench.data.store import Store

KEY = {"Authorization": f"Bearer {API_KEY}"}
SOME = hypothesis.settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
pytestmark = pytest.mark.slow
ASKED: list[Endpoint] = []  # the one that is asked, once the fixture has made it


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The endpoint as an ASGI application."""
    if scope["type"] == "http":
        await (await ASKED[0](Request(scope, receive)))(scope, receive, send)


def described() -> Any:
    """What the endpoint says of itself, to be asked of it."""
    found = schemathesis.openapi.from_dict(openapi.document("small", DATA))
    found.app = app
    # a time that nobody may say yet, or of an event that is corrected before it happened, is refused by its meaning
    found.config.checks.positive_data_acceptance.expected_statuses += ["422"]
    return found


schema = described()


@pytest.fixture(scope="module", autouse=True)
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("fuzzed")
    given = settings(Store(str(folder / "store")), folder)
    ASKED[:] = [Endpoint(dataclasses.replace(given, ahead_days=10_000_000.0, max_body_bytes=262_144))]
    yield
    ASKED.clear()


@schema.parametrize()
@SOME
def test_with_the_key_every_answer_is_one_that_is_described(case: Any) -> None:
    case.call_and_validate(headers=KEY)


@schema.parametrize()
@SOME
def test_without_the_key_nothing_is_answered_but_what_holds_no_data(case: Any) -> None:
    response = case.call(headers={"Authorization": "Bearer wb_wrong"})
    assert response.status_code == (200 if case.operation.path in OPEN else 401) or response.status_code == 405
    case.validate_response(response)
