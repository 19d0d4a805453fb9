"""An operator releases over HTTP what the command line releases, is told why not, and both are in the audit log."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from serve.endpoint import Endpoint
from tests.serve.small import settings, version
from tests.serve.test_access import key_of
from tests.serve.test_endpoint import call, check_refusal
from workbench.data.store import Store
from workbench.governance import audit
from workbench.governance.api_keys import Register
from workbench.release import actions, ledger

MARK = "SECRET"


@pytest.fixture
def endpoint(store: Store, tmp_path: Path) -> Endpoint:
    """One whose champion is v1; v2 is registered."""
    given = dataclasses.replace(settings(store, tmp_path), keys_folder=str(tmp_path / "keys"))
    version(store, "v2")
    actions.act(store, "small", "promote", "v1", "a test")
    return Endpoint(given)


async def asked(endpoint: Endpoint, body: Any, **headers: str | None) -> Any:
    return await call(endpoint, "/v1/admin/releases", [json.dumps(body).encode()], **headers)


def logged(endpoint: Endpoint) -> list[tuple[str, str]]:
    lines = audit.lines(Path(endpoint.settings.journal) / audit.FOLDER)
    return [(one["act"], one["client"]) for one in lines if one["act"] != "begin"]


async def test_an_operator_releases_and_takes_back(endpoint: Endpoint, store: Store) -> None:
    key = key_of(Register(endpoint.settings.keys_folder), "operator")
    endpoint.access._keys.look()
    headers = {"authorization": f"Bearer {key}", "x_request_id": "asked-1"}
    canary = {"action": "canary", "version": "v2", "reason": "better in shadow", "canary_percent": 5}
    response = await asked(endpoint, canary, **headers)
    assert (response.status_code, json.loads(response.body)) == (
        200,
        {
            "request_id": "asked-1", "step": 2, "champion": "v1", "canary": "v2", "canary_percent": 5, "shadows": [],
        },
    )  # fmt: skip
    assert (await asked(endpoint, {"action": "rollback", "reason": "worse"}, **headers)).status_code == 200
    rows = ledger.history(store, "small")[1:]
    assert [(row["action"], row["version"], row["who"], row["why"]) for row in rows] == [
        ("canary", "v2", "client operator", "better in shadow"), ("rollback", "v2", "client operator", "worse"),
    ]  # fmt: skip
    assert logged(endpoint) == [("release.canary", "operator"), ("release.rollback", "operator")]


@pytest.mark.parametrize("role", ["scorer", "feedback", "analyst", "metrics"])
async def test_nobody_else_does(endpoint: Endpoint, store: Store, role: str) -> None:
    key = key_of(Register(endpoint.settings.keys_folder), role)
    endpoint.access._keys.look()
    body = {"action": "promote", "version": "v2", "reason": "mine"}
    check_refusal(await asked(endpoint, body, authorization=f"Bearer {key}"), 403)
    assert ledger.live(store, "small") == "v1"
    assert logged(endpoint) == [("refused", role)]


async def test_what_does_not_fit_is_told_at_once_without_what_was_sent(endpoint: Endpoint, store: Store) -> None:
    body = {"action": "promote", "version": f"{MARK}-9", "reason": f"{MARK} why", "canary_percent": 7}
    response = await asked(endpoint, body)
    error = json.loads(response.body)["error"]
    assert (response.status_code, error["code"]) == (409, "conflict")
    assert {fault["field"] for fault in error["faults"]} == {"$.version", "$.canary_percent"}
    assert "It is no version in the store. Register it first." in [fault["rule"] for fault in error["faults"]]
    assert MARK not in response.body.decode()
    assert store.root not in response.body.decode()
    response = await asked(endpoint, {"action": "promote", "version": "v1", "reason": "again"})
    assert (response.status_code, json.loads(response.body)["error"]["faults"][0]["field"]) == (409, "$.version")
    assert ledger.live_releases(store, "small").step == 1
    assert logged(endpoint) == [("release.promote", "default"), ("refused", "default")] * 2


BAD: dict[str, Any] = {
    "no reason": {"action": "promote", "version": "v2"},
    "empty reason": {"action": "promote", "version": "v2", "reason": ""},
    "no action": {"version": "v2", "reason": "a"},
    "other action": {"action": MARK, "version": "v2", "reason": "a"},
    "path as a version": {"action": "promote", "version": "../SECRET", "reason": "a"},
    "no percent": {"action": "canary", "version": "v2", "reason": "a", "canary_percent": 0},
    "beyond all": {"action": "canary", "version": "v2", "reason": "a", "canary_percent": 101},
    "odd steps": {"action": "canary", "version": "v2", "reason": "a", "canary_steps": ["SECRET"]},
    "unknown field": {"action": "promote", "version": "v2", "reason": "a", MARK: 1},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_a_bad_body_does_nothing(endpoint: Endpoint, store: Store, body: Any) -> None:
    check_refusal(await asked(endpoint, body), 422)
    assert ledger.live_releases(store, "small").step == 1


async def test_what_cannot_be_written_down_is_not_done(
    endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(endpoint.access.audit, "write", full)
    check_refusal(await asked(endpoint, {"action": "promote", "version": "v2", "reason": "a"}), 503)
    assert ledger.live(store, "small") == "v1"
