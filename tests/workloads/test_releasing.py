"""An action reaches the ledger, waits for the endpoint where one answers, and says what it refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.serve import small
from workbench.config import Config
from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault, GateRefused
from workbench.release import ledger
from workloads import deploy, door, releasing


@pytest.fixture
def released(store: Store, tmp_path: Path) -> Store:
    """Versions v1, the champion of payments, and v2."""
    small.settings(store, tmp_path)
    small.version(store, "v2")
    ledger.release(store, "payments", "v1", "for a test")
    return store


def configured(store: Store, *overrides: str) -> Config:
    return door.composed([f"storage.root={store.root}", *overrides])


def asked(store: Store, action: str, version: str | None = "v2", *more: str) -> Config:
    named = [f"release.version={version}"] if version else []
    return configured(store, f"release.action={action}", "release.reason=a test", *named, *more)


class Endpoint:
    """What an endpoint says at each look: the steps that it has followed; None: it does not answer."""

    def __init__(self, *steps: int | None) -> None:
        self.steps = list(steps)

    def __call__(self, _: str) -> dict[str, Any] | None:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return None if step is None else {"release_step": step}


def test_what_is_released_is_what_comes_back(released: Store) -> None:
    for action, version in (("shadow", "v2"), ("canary", "v2"), ("promote", "v2")):
        artifact, followed = releasing.run(asked(released, action), Endpoint(None))
        assert (artifact.key, followed) == (version, False)
    row = ledger.history(released, "payments")[-1]
    assert (row["action"], row["why"], row["from_alias"]) == ("promote", "a test", "canary")
    artifact, _ = releasing.run(asked(released, "rollback", None), Endpoint(None))
    assert artifact.key == "v1", "what is live after a version was taken back"


def test_a_canary_has_the_percent_and_the_steps_of_the_config(released: Store) -> None:
    releasing.run(asked(released, "canary", "v2", "release.canary_percent=5"), Endpoint(None))
    live = ledger.live_releases(released, "payments")
    assert live.canary
    assert (live.canary.percent, live.canary.steps) == (5, (25, 50))


def test_an_endpoint_that_answers_is_waited_for(released: Store, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = Endpoint(1, 1, None, 2)
    assert releasing.run(asked(released, "promote"), endpoint)[1]
    assert endpoint.steps == [2]
    assert "promote v2: champion v2" in capsys.readouterr().err


def test_an_endpoint_that_does_not_follow_is_told(released: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "FOLLOW_S", 0)
    with pytest.raises(EnvironmentFault, match="did not follow"):
        releasing.run(asked(released, "promote"), Endpoint(1))


def test_an_endpoint_that_must_be_started_again_is_told(released: Store) -> None:
    with pytest.raises(EnvironmentFault, match=r"another feature view than v2 has.* start it again with serve.version"):
        releasing.run(asked(released, "promote"), lambda _: {"release_step": 1, "restart_needed": True})


def test_what_the_endpoint_refuses_is_refused_with_its_reason(released: Store) -> None:
    def refusing(_: str) -> dict[str, Any]:
        ledger.refuse(released, "payments", "v2", "its score is no number")
        return {"release_step": ledger.live_releases(released, "payments").step}

    with pytest.raises(GateRefused, match="refused version v2: its score is no number"):
        releasing.run(asked(released, "promote"), refusing)
    assert ledger.live(released, "payments") == "v1"


def test_the_challenger_is_the_one_of_the_ledger(released: Store) -> None:
    with pytest.raises(ConfigError, match=r"release.version is not set"):
        releasing.run(asked(released, "shadow", "challenger"), Endpoint(None))
    ledger.challenge(released, "payments", "v2", "best of a sweep")
    assert releasing.run(asked(released, "shadow", "challenger"), Endpoint(None))[0].key == "v2"


def test_all_faults_of_what_is_asked_are_told_and_nothing_is_trained(released: Store) -> None:
    words = ["release.action=canary", "release.version=configured", "release.canary_percent=101"]
    with pytest.raises(ConfigError) as caught:
        releasing.run(configured(released, *words), Endpoint(None))
    said = str(caught.value)
    assert said.count("\n  - ") == 3
    assert all(word in said for word in ("release.reason is not set", "canary_percent=101", "is no version in"))


def test_an_action_needs_no_endpoint_and_starts_none(released: Store) -> None:
    assert deploy.run(asked(released, "promote")).key == "v2"
    assert ledger.live(released, "payments") == "v2"


def test_an_unknown_action_is_refused_at_the_door() -> None:
    with pytest.raises(ConfigError, match=r"release.action=deploy is unknown. Use one of: None, shadow, canary"):
        door.composed(["release.action=deploy"])
