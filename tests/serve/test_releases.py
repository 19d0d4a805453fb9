"""A service follows the ledger: sound versions answer whom they should, others nobody, and what was seen is counted."""

import asyncio
import dataclasses
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import graphs
from serve import batch, live, schemas
from serve.models import Models, NoNumber, place
from serve.service import Service
from serve.settings import Settings
from tests.serve.small import DATA, EVENT, FEATURES, VIEWS, die, settings, version
from workbench.config import FeaturesConfig
from workbench.data.store import Store
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log
from workbench.release import actions, ledger
from workbench.release.settings import GuardrailsConfig

EVENTS = msgspec.json.Decoder(schemas.event_type(DATA))
ALONE = dict.fromkeys(name for name in prediction_log.PREDICTIONS.names if name.startswith("other") or name == "alias")


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Settings:
    """An endpoint that follows the ledger, whose champion is v1: it flags everybody."""
    guardrails = GuardrailsConfig(pairs_per_step=40, shadow_queue=10, score_ms=10)
    made = dataclasses.replace(settings(store, tmp_path), follows=True, guardrails=guardrails)
    do(store, "promote", "v1")
    return made


@pytest.fixture
def service(given: Settings, monkeypatch: pytest.MonkeyPatch) -> Service:
    """It looks when a test says so."""
    monkeypatch.setattr("serve.follow.Follower.start", lambda _: None)
    monkeypatch.setattr("serve.shadows.Shadows.start", lambda _: None)
    return Service(given)


def do(store: Store, action: str, name: str | None, **more: Any) -> None:
    actions.act(store, "small", action, name, "a test", **more)


def ask(service: Service, number: int, customer: int = 7) -> dict[str, Any]:
    body = {**EVENT, "id": number, "customer": customer}
    return service.score(EVENTS.decode(json.dumps(body)), f"r{number}")


def logged(service: Service) -> list[dict[str, Any]]:
    service.compact()
    rows: list[dict[str, Any]] = (
        prediction_log.predictions(service.store, service.settings.log).read().sort_by("received_at").to_pylist()
    )
    return rows


def newest(service: Service) -> dict[str, Any]:
    """The ledger's last row."""
    return ledger.history(service.store, "small")[-1]


def quiet(store: Store, name: str) -> None:
    """A version that flags nobody."""
    version(store, name, model=graphs.linear([0.0, 0.0, 0.0]), threshold=0.9)


class TestSwaps:
    def test_a_promoted_version_answers_without_a_restart(self, service: Service) -> None:
        quiet(service.store, "v2")
        before = ask(service, 1)
        do(service.store, "promote", "v2")
        service.follower.follow()
        after = ask(service, 2)
        assert [(one["model_version"], one["decision"]) for one in (before, after)] == [("v1", "flag"), ("v2", "pass")]
        do(service.store, "rollback", None)
        service.follower.follow()
        assert ask(service, 3)["model_version"] == "v1"
        assert service.models.step == ledger.live_releases(service.store, "small").step == 3

    def test_one_that_runs_follows_within_seconds(self, given: Settings) -> None:
        running = Service(given)
        quiet(running.store, "v2")
        do(running.store, "promote", "v2")
        until = time.monotonic() + 20
        while running.bundle.version != "v2" and time.monotonic() < until:
            time.sleep(0.05)
        assert running.bundle.version == "v2"

    def test_one_that_starts_later_serves_what_the_ledger_says(self, given: Settings, service: Service) -> None:
        for name in ("v2", "v3", "v4"):
            quiet(service.store, name)
        for action, name, percent in (("promote", "v2", None), ("canary", "v3", 5), ("shadow", "v4", None)):
            do(service.store, action, name, canary_percent=percent)
        later = Service(given).models
        assert (later.champion.version, later.canary and later.canary.version, later.percent) == ("v2", "v3", 5)
        assert [one.version for one in later.shadows] == ["v4"]

    def test_a_service_that_does_not_follow_serves_its_own_version(self, given: Settings) -> None:
        quiet(Store(given.store), "v2")
        do(Store(given.store), "promote", "v2")
        pinned = Service(dataclasses.replace(given, follows=False))
        assert (pinned.bundle.version, pinned.models.step) == ("v1", 0)

    def test_a_file_that_was_lost_is_made_again_at_a_start(self, given: Settings) -> None:
        store = Store(given.store)
        store.fs.delete_file(ledger.file(store, "small"))
        Service(given)
        assert ledger.told(store, "small") == ledger.live_releases(store, "small")


def tamper(store: Store, name: str) -> None:
    """Change one byte of the model after it was signed."""
    path = Path(store.path("models", name, "model.onnx"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_view(store: Store, name: str) -> None:
    view = FeatureSet.of(FeaturesConfig(version=2, views=VIEWS), DATA)
    version(store, name, dataclasses.replace(FEATURES, version=2) if view.digest == FEATURES.digest else view)


BAD = {
    "tampered": (lambda store: (version(store, "v2"), tamper(store, "v2")), "differs from what was signed"),
    "no model": (lambda store: version(store, "v2", model=b"no graph"), "it could not be loaded"),
    "another width": (
        lambda store: version(store, "v2", model=graphs.linear([0.0] * 5)),
        "it does not score: InvalidArgument",
    ),
    "no number": (lambda store: version(store, "v2", model=graphs.no_number(3)), "is no number"),
    "slow": (lambda store: version(store, "v2", model=graphs.slow(3)), "serve.guardrails.score_ms=10 are allowed"),
    "another feature view": (lambda store: other_view(store, "v2"), "Stop the endpoint, promote the version"),
}


class TestRefusals:
    @pytest.mark.parametrize("action", ["promote", "canary", "shadow"])
    @pytest.mark.parametrize(
        "case", [pytest.param(one, marks=pytest.mark.slow) if one == "slow" else one for one in BAD]
    )
    def test_a_version_that_is_not_sound_never_answers_and_the_ledger_says_why(
        self, service: Service, case: str, action: str
    ) -> None:
        make, said = BAD[case]
        make(service.store)
        do(service.store, action, "v2", canary_percent=100 if action == "canary" else None)
        service.follower.follow()
        assert ask(service, 1)["model_version"] == "v1"
        row = newest(service)
        assert (row["action"], row["version"], row["who"]) == ("refuse", "v2", "endpoint")
        assert said in row["why"]
        left = ledger.live_releases(service.store, "small")
        assert (left.promoted, left.canary, left.shadows) == (("v1",), None, ())
        assert service.models.step == left.step == 3

    def test_a_version_that_fails_on_what_was_asked_here_is_refused(self, service: Service) -> None:
        ask(service, 1)  # its amount is 100
        version(service.store, "v2", model=graphs.no_number(3, above=99))
        do(service.store, "promote", "v2")
        service.follower.follow()
        assert "is no number" in newest(service)["why"]

    def test_a_rollback_to_another_feature_view_waits_for_a_restart_and_keeps_what_answers(
        self, given: Settings, service: Service
    ) -> None:
        other_view(service.store, "v2")
        do(service.store, "promote", "v2")
        later = Service(given)  # it starts with the other view
        do(service.store, "rollback", None)
        later.follower.follow()
        assert (later.bundle.version, later.follower.waits) == ("v2", True)
        assert ledger.live(service.store, "small") == "v1", "it is what the next start serves"
        do(service.store, "promote", "v2")
        later.follower.follow()
        assert (later.models.step, later.follower.waits) == (4, False)

    def test_a_champion_that_was_tampered_with_gives_way_to_the_one_before_at_a_start(self, given: Settings) -> None:
        store = Store(given.store)
        quiet(store, "v2")
        do(store, "promote", "v2")
        tamper(store, "v2")
        assert Service(given).bundle.version == "v1"
        assert "differs from what was signed" in ledger.history(store, "small")[-1]["why"]

    def test_the_only_champion_that_was_tampered_with_starts_nothing(self, given: Settings) -> None:
        tamper(Store(given.store), "v1")
        with pytest.raises(StoreError, match="differs from what was signed"):
            Service(given)
        assert ledger.live(Store(given.store), "small") == "v1", "a person has to decide"

    def test_two_replicas_that_refuse_write_one_row(self, given: Settings, service: Service) -> None:
        other = Service(given)
        version(service.store, "v2", model=graphs.no_number(3))
        do(service.store, "promote", "v2")
        for one in (service, other):
            one.follower.follow()
        assert [row["action"] for row in ledger.history(service.store, "small")] == ["promote", "promote", "refuse"]
        assert service.models.step == other.models.step == 3


class TestCanary:
    @pytest.fixture
    def half(self, service: Service) -> Service:
        """Half of the customers are answered by v2, which flags nobody."""
        quiet(service.store, "v2")
        do(service.store, "canary", "v2", canary_percent=50)
        service.follower.follow()
        return service

    def test_a_customer_is_answered_by_the_same_version_always(self, half: Service) -> None:
        seen = {
            customer: {ask(half, 100 * customer + n, customer)["model_version"] for n in range(3)}
            for customer in range(30)
        }
        assert all(len(versions) == 1 for versions in seen.values())
        assert {one for versions in seen.values() for one in versions} == {"v1", "v2"}

    def test_both_are_logged_of_the_canarys_customers_and_one_of_the_others(self, half: Service) -> None:
        for customer in range(30):
            ask(half, customer, customer)
        for row in logged(half):
            if row["model_version"] == "v1":
                assert {name: row[name] for name in ALONE} == ALONE
                continue
            assert (row["alias"], row["flagged"], row["score"]) == ("canary", False, 0.5)
            assert (row["other_version"], row["other_flagged"], row["other_fault"]) == ("v1", True, None)
            assert row["other_score"] > 0.5
            assert min(row["scored_us"], row["other_us"]) >= 0

    async def test_a_batch_is_decided_by_the_same_versions_as_its_events_alone(self, half: Service) -> None:
        alone = [ask(half, customer, customer)["model_version"] for customer in range(30)]
        events = [EVENTS.decode(json.dumps({**EVENT, "id": 100 + one, "customer": one})) for one in range(30)]
        results = (await batch.scored(half, events, "b", lambda: asyncio.sleep(0)))["results"]
        assert [one["model_version"] for one in results] == alone
        paired = [row["alias"] for row in logged(half) if row["other_version"]]
        assert paired == ["canary"] * 2 * alone.count("v2")

    def test_all_that_is_live_is_told_with_its_share(self, half: Service) -> None:
        quiet(half.store, "v3")
        do(half.store, "shadow", "v3")
        half.follower.follow()
        told = [(one["alias"], one["version"], one["percent"]) for one in live.models(half)["models"]]
        assert told == [("champion", "v1", 50), ("canary", "v2", 50), ("shadow", "v3", 0)]

    def test_who_is_in_a_share_stays_in_a_larger_one(self) -> None:
        places = [place(f"customer {n}", "v2") for n in range(20_000)]
        shares = [sum(one < percent * 100 for one in places) / len(places) for percent in (1, 5, 25, 50)]
        assert shares == pytest.approx([0.01, 0.05, 0.25, 0.5], abs=0.012)
        other = [place(f"customer {n}", "v3") for n in range(20_000)]
        both = sum(a < 500 and b < 500 for a, b in zip(places, other, strict=True)) / 20_000
        assert both == pytest.approx(0.05 * 0.05, abs=0.002), "another canary has other customers"

    def test_a_canary_that_fails_hurts_nobody_and_is_rolled_back(self, half: Service) -> None:
        broken = dataclasses.replace(half.models.canary, threshold="none")  # type: ignore[type-var]
        half.models = dataclasses.replace(half.models, canary=broken)
        seen = Counter(ask(half, customer, customer)["model_version"] for customer in range(30))
        assert seen == {"v1": 30}
        faults = [row for row in logged(half) if row["other_version"] == "v2"]
        assert {(row["alias"], row["other_fault"], row["other_score"]) for row in faults} == {
            ("champion", "TypeError", None)
        }
        half.follower.judge()
        row = newest(half)
        assert (row["action"], row["version"]) == ("rollback", "v2")
        assert row["why"] == f"{len(faults)} of its scores failed or were no number; serve.guardrails.faults=3 may."
        half.follower.follow()
        assert half.models.canary is None

    def test_a_canary_that_decides_otherwise_is_rolled_back_by_what_all_replicas_saw(
        self, given: Settings, half: Service
    ) -> None:
        other = Service(given)
        for number in range(0, 24, 2):
            for one, at in ((half, number), (other, number + 1)):
                ask(one, at, at)
        for one in (half, other):
            one.compact()
        half.follower.judge()
        row = newest(half)
        assert (row["action"], row["from_alias"], row["who"]) == ("rollback", "canary", "endpoint")
        paired = sum(place(half.token("customer", n), "v2") < 5000 for n in range(24))
        assert row["why"].startswith(f"{paired} of {paired} decisions differ from the champion's; ")
        other.follower.judge()
        assert len(ledger.history(half.store, "small")) == 3, "the other one finds it done"

    def test_a_canary_that_agrees_goes_on_step_by_step(self, service: Service) -> None:
        version(service.store, "v2")
        do(service.store, "canary", "v2", canary_percent=50, canary_steps=[50, 75, 100])
        percents = []
        for turn in range(4):
            service.follower.follow()
            percents.append(service.models.percent)
            for asked in range(100 * turn, 100 * turn + 100):
                ask(service, asked, asked)
            service.compact()
            service.follower.judge()
        assert percents == [50, 75, 100, 100]
        acts = [row["action"] for row in ledger.history(service.store, "small")]
        assert acts == ["promote", "canary", "advance", "advance"]

    def test_the_champion_without_a_number_is_no_decision(self, service: Service) -> None:
        nothing = dataclasses.replace(service.bundle, scorer=_NoNumber())
        service.models = Models(nothing)
        with pytest.raises(NoNumber):
            ask(service, 1)
        assert len(service.state) == 0

    def test_pairs_that_arrive_at_once_bring_a_canary_one_share_on(self, service: Service) -> None:
        """The tables were away: what was asked at the first share is no evidence of those that follow."""
        version(service.store, "v2")
        do(service.store, "canary", "v2", canary_percent=50, canary_steps=[50, 75, 100])
        service.follower.follow()
        for asked in range(400):
            ask(service, asked, asked)
        service.compact()
        for _ in range(3):
            service.follower.judge()
            service.follower.follow()
        assert service.models.percent == 75
        assert newest(service)["why"].endswith(" pairs at 50 %, no harm")


class _NoNumber:
    def one(self, _: list[float]) -> tuple[float, list[float]]:
        return float("nan"), [0.0]


class TestShadows:
    @pytest.fixture
    def shadowed(self, service: Service) -> Service:
        """v2 flags nobody; v3 has no number for an amount above 500."""
        quiet(service.store, "v2")
        version(service.store, "v3", model=graphs.no_number(3, above=500))
        for name in ("v2", "v3"):
            do(service.store, "shadow", name)
        service.follower.follow()
        return service

    def told(self, service: Service) -> list[tuple[str, str, float | None, bool | None]]:
        service.compact()
        rows = prediction_log.shadows(service.store, service.settings.log).read().to_pylist()
        return sorted((row["request_id"], row["version"], row["score"], row["flagged"]) for row in rows)

    def test_every_shadow_scores_what_was_answered_and_changes_no_answer(self, shadowed: Service) -> None:
        assert {ask(shadowed, n)["decision"] for n in range(3)} == {"flag"}
        assert shadowed.shadows.score_waiting() == 3
        expected = [(f"r{n}", name, 0.5, name == "v3") for n in range(3) for name in ("v2", "v3")]
        assert self.told(shadowed) == expected
        assert all({name: row[name] for name in ALONE} == ALONE for row in logged(shadowed))

    def test_a_shadow_without_a_number_is_recorded_so(self, shadowed: Service) -> None:
        body = EVENTS.decode(json.dumps({**EVENT, "amount": 501}))
        assert shadowed.score(body, "r1")["model_version"] == "v1"
        shadowed.shadows.score_waiting()
        assert self.told(shadowed) == [("r1", "v2", 0.5, False), ("r1", "v3", None, None)]

    def test_what_finds_no_room_is_left_out_and_counted_and_answered_all_the_same(self, shadowed: Service) -> None:
        answers = [ask(shadowed, n) for n in range(13)]
        assert len(answers) == 13
        assert (shadowed.shadows.score_waiting(), shadowed.shadows.left_out) == (10, 3)
        assert len(logged(shadowed)) == 13

    def test_without_shadows_nothing_waits(self, service: Service) -> None:
        ask(service, 1)
        assert service.shadows.score_waiting() == 0


def test_what_was_counted_survives_a_death(given: Settings, service: Service) -> None:
    quiet(service.store, "v2")
    do(service.store, "canary", "v2", canary_percent=100)
    service.follower.follow()
    for number in range(12):
        ask(service, number, number)
    die(service)
    again = Service(given)
    again.follower.judge()
    assert newest(again)["why"].startswith("12 of 12 decisions differ")
