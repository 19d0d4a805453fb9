"""A decision is found again by its event's id and its request's, with the label told since and no entity."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve.endpoint import Endpoint
from tests.serve.asked import CUSTOMER, score, tell
from tests.serve.small import settings
from tests.serve.test_endpoint import call, check_refusal
from workbench.data.store import Store
from workbench.governance.keys import Keys, token


@pytest.fixture
def endpoint(store: Store, tmp_path: Path) -> Endpoint:
    return Endpoint(settings(store, tmp_path))


async def found(endpoint: Endpoint, name: str) -> dict[str, Any]:
    response = await call(endpoint, f"/v1/decisions/{name}", method="GET")
    assert response.status_code == 200
    answer: dict[str, Any] = json.loads(response.body)
    return answer


@pytest.mark.parametrize("moved", [False, True], ids=["journal", "table"])
async def test_it_is_found_with_what_it_was_made_by_and_the_newest_label(endpoint: Endpoint, moved: bool) -> None:
    answer = score(endpoint.service, 1, 0)
    score(endpoint.service, 11, 0)
    if moved:
        endpoint.service.compact()
    assert (await found(endpoint, "1"))["label"] is None
    for label, hours in ((1, 10), (0, 30), (1, 20)):
        tell(endpoint.service, 1, label, hours)
        if moved:
            endpoint.service.compact()
    one = await found(endpoint, "1")
    assert {name: one[name] for name in answer} == answer
    assert (one["id"], one["event_time"]) == ("1", "2018-08-15T00:00:00.000000Z")
    assert (one["label"]["label"], one["label"]["known_time"]) == (0, "2018-08-16T06:00:00.000000Z")
    assert await found(endpoint, "r1") == one


async def test_the_first_of_several_answers_is_meant_and_an_id_goes_before_a_request_id(endpoint: Endpoint) -> None:
    first = score(endpoint.service, 1, 0)
    score(endpoint.service, 2, 1)
    score(endpoint.service, 1, 0, again=True)
    body = {"id": 3, "time": "2018-08-15T02:00:00Z", "customer": 1, "amount": 5}
    await call(endpoint, "/v1/score", [json.dumps(body).encode()], x_request_id="1")
    endpoint.service.compact()
    one = await found(endpoint, "1")
    assert (one["id"], one["received_at"]) == ("1", (await found(endpoint, "r1"))["received_at"])
    assert one["score"] == first["score"]


async def test_no_entity_and_no_event_is_shown(endpoint: Endpoint) -> None:
    score(endpoint.service, 1, 0)
    said = str(await found(endpoint, "1"))
    assert str(CUSTOMER) not in said
    assert token(Keys(endpoint.settings.keys_folder).pseudonym(), "customer", CUSTOMER) not in said


@pytest.mark.parametrize("name", ["2", "r2", "0", "1x", "%", "..", '"', "SECRET", "9" * 300, "ü"])
async def test_what_was_not_decided_is_not_found(endpoint: Endpoint, name: str) -> None:
    score(endpoint.service, 1, 0)
    check_refusal(await call(endpoint, f"/v1/decisions/{name}", method="GET"), 404)
    endpoint.service.compact()
    check_refusal(await call(endpoint, f"/v1/decisions/{name}", method="GET"), 404)
