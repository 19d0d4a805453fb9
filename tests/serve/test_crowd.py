"""A request waits behind others for a bounded time; then it is refused, and nothing of it is kept."""

import asyncio
import dataclasses
import json
import time
from typing import Any

import pytest

from serve.endpoint import Endpoint
from serve.settings import Settings
from tests.serve.small import EVENT
from tests.serve.test_endpoint import call, check_refusal

AT_ONCE, EACH_S = 20, 0.01


@pytest.fixture
def endpoint(given: Settings, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """It refuses after the time of five answers."""
    one = Endpoint(dataclasses.replace(given, max_wait_s=4.5 * EACH_S, retry_after_s=2.0))
    scored = one.service.scored

    def slowly(*asked: Any) -> Any:
        time.sleep(EACH_S)
        return scored(*asked)

    monkeypatch.setattr(one.service, "scored", slowly)
    return one


def asked(endpoint: Endpoint, first: int) -> list[Any]:
    """Requests that all lie in their sockets."""
    return [
        call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": first + number}).encode()]) for number in range(AT_ONCE)
    ]


async def test_who_would_wait_for_too_long_is_refused_and_the_next_turn_begins_anew(endpoint: Endpoint) -> None:
    for turn in range(2):
        answers = await asyncio.gather(*asked(endpoint, turn * AT_ONCE))
        codes = [one.status_code for one in answers]
        served = codes.count(200)
        assert 1 <= served <= 5, "a busy machine answers fewer in the time"
        assert codes == [200] * served + [503] * (AT_ONCE - served), "those who came first are served"
        check_refusal(answers[-1], 503)
        assert answers[-1].headers["retry-after"] == "2"
        assert len(endpoint.service.state) == sum(1 for _ in recorded(endpoint))
    assert (await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": AT_ONCE - 1}).encode()])).status_code == 200


def recorded(endpoint: Endpoint) -> list[bytes]:
    """The decisions that the journal holds."""
    files = sorted(endpoint.settings.folder.glob("predictions-*"))
    return [line for file in files for line in file.read_bytes().splitlines()]


async def test_how_it_is_can_be_asked_in_any_crowd(endpoint: Endpoint) -> None:
    *answers, health, ready = await asyncio.gather(
        *asked(endpoint, 0), call(endpoint, "/healthz", method="GET"), call(endpoint, "/readyz", method="GET")
    )
    assert 503 in [one.status_code for one in answers]
    assert (health.status_code, ready.status_code) == (200, 200)
