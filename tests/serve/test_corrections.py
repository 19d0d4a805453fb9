"""What is known later of an event, told over HTTP: it counts from then on, survives a restart, and is no decision."""

import asyncio
import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serve import schemas
from serve.answers import Refusal
from serve.endpoint import Endpoint
from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import CUSTOMER, at, everything_written, logged, restarted, score, tell
from tests.serve.small import DATA, settings
from tests.serve.test_endpoint import call
from workbench.config import FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data.store import Store
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log

KINDS = [
    FeatureConfig("n", "count"),
    FeatureConfig("sum", "sum", "amount"),
    FeatureConfig("risk", "known_positive_count"),
]
VIEW = ViewConfig(name="v", entity=["customer"], windows=["7d"], features=KINDS)
FEATURES = FeatureSet.of(FeaturesConfig(views=[VIEW]), DATA)
CORRECTIONS = msgspec.json.Decoder(schemas.corrections_type(DATA))


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Settings:
    return settings(store, tmp_path, features=FEATURES)


@pytest.fixture
def service(given: Settings) -> Service:
    return Service(given)


def version(hours: float, amount: int = 100, customer: int = CUSTOMER) -> dict[str, Any]:
    return {"time": at(hours), "customer": customer, "amount": amount}


def correct(service: Service, *said: tuple[int, float, dict[str, Any] | None]) -> dict[str, int]:
    """Tell (id, hours at which it is known, the version or None)."""
    listed = [{"id": identity, "known_time": at(hours), "event": event} for identity, hours, event in said]
    return service.correct(CORRECTIONS.decode(json.dumps({"corrections": listed})).corrections)


def seen(service: Service, hours: float, customer: int = CUSTOMER) -> list[float]:
    """What a new event sees of its customer's past: count, sum, how many known positive."""
    score(service, round(hours * 1000) + 10**6, hours, customer, amount=0)
    found: list[float] = max(logged(service), key=lambda row: row["received_at"])["features"]
    return found


class TestFeatures:
    def test_a_correction_counts_from_the_time_at_which_it_is_known(self, service: Service) -> None:
        score(service, 1, 0, amount=10)
        assert correct(service, (1, 5, version(0, 70))) == {"accepted": 1, "in_feature_state": 1}
        assert [seen(service, hours) for hours in (4, 5)] == [[1, 10, 0], [2, 70, 0]]

    def test_a_deletion_takes_the_event_out_and_a_later_version_brings_it_back(self, service: Service) -> None:
        score(service, 1, 0, amount=10)
        correct(service, (1, 5, None), (1, 8, version(0, 3)))
        assert [seen(service, hours)[1] for hours in (4, 5, 8)] == [10, 0, 3]

    def test_an_event_of_another_customer_moves_there_with_its_label(self, service: Service) -> None:
        score(service, 1, 0, amount=10)
        correct(service, (1, 5, version(1, 20, customer=7)))
        tell(service, 1, 1, hours=6)
        assert [seen(service, hours, 7) for hours in (4, 6.5)] == [[0, 0, 0], [2, 20, 1]]
        assert seen(service, 7)[1:] == [0, 0]

    def test_of_two_that_are_known_at_once_the_one_told_last_counts(self, service: Service, given: Settings) -> None:
        score(service, 1, 0)
        correct(service, (1, 5, version(0, 20)), (1, 5, version(0, 30)), (1, 4, version(0, 1)))
        assert seen(service, 6)[1] == seen(restarted(service), 6.5)[1] == 30

    def test_the_decision_on_an_event_stays_what_it_was(self, service: Service) -> None:
        first = score(service, 1, 0, amount=10)
        before = logged(service)
        correct(service, (1, 5, version(0, 70)))
        assert logged(service) == before
        assert score(service, 1, 0, amount=10)["score"] == first["score"]

    def test_a_version_that_moves_far_ahead_keeps_its_label_when_the_event_itself_is_forgotten(
        self, service: Service, given: Settings
    ) -> None:
        days = 24
        score(service, 1, 0)
        correct(service, (1, 1, version(13 * days, 5)))
        tell(service, 1, 1, hours=2)
        score(service, 2, 15 * days, customer=7)
        assert seen(service, 16 * days) == [1, 5, 1]
        assert seen(restarted(service), 16 * days + 1) == [2, 5, 1]


class TestRecords:
    def test_what_was_told_is_known_again_after_a_restart_wherever_it_lies(self, tmp_path: Path) -> None:
        answers = []
        for name, compacted, again in (("through", False, False), ("journal", False, True), ("tables", True, True)):
            given = settings(Store(str(tmp_path / name)), tmp_path / name, features=FEATURES)
            service = Service(given)
            for identity in range(9):
                score(service, identity, identity, amount=10 * identity)
            correct(service, (3, 20, version(3, 1)), (4, 21, None), (5, 22, version(5, 2, customer=7)))
            assert service.compact() == 12 if compacted else True
            service = restarted(service) if again else service
            correct(service, (4, 23, version(4, 4)), (3, 24, None))
            answers.append([seen(service, hours)[1] for hours in (19, 20, 21, 22, 23, 24)] + [seen(service, 25, 7)[1]])
        assert answers[0] == answers[1] == answers[2] == [360, 331, 291, 241, 245, 244, 2]

    def test_one_of_an_unknown_event_changes_nothing_then_or_after_a_restart(
        self, service: Service, given: Settings
    ) -> None:
        assert correct(service, (1, 5, version(0, 70)), (2, 5, None)) == {"accepted": 2, "in_feature_state": 0}
        score(service, 1, 0, amount=10)
        score(service, 2, 0, amount=20)
        assert seen(service, 6)[1] == 30
        assert seen(restarted(service), 7)[1] == 30
        kept = prediction_log.corrections(service.store, given.log).read()
        assert kept["in_state"].to_pylist() == [False, False]

    def test_they_hold_tokens_and_no_customer(self, service: Service, given: Settings) -> None:
        score(service, 1, 0, customer=1)
        correct(service, (1, 5, version(0, 70)))
        written = everything_written(Path(given.journal))
        service.compact()
        written += everything_written(Path(given.store), Path(given.journal))
        assert "corrections" in str(list(Path(given.store).rglob("*")))
        assert str(CUSTOMER) not in written

    def test_every_call_is_kept_with_its_times_and_order(self, service: Service, given: Settings) -> None:
        score(service, 1, 0)
        before = dt.datetime.now(dt.UTC)
        correct(service, (1, 5, version(0, 70)), (1, 6, None))
        service.compact()
        rows = prediction_log.corrections(service.store, given.log).read().sort_by("position").to_pylist()
        assert [(row["id"], row["known_time"].isoformat(), row["position"], row["in_state"]) for row in rows] == [
            ("1", at(5), 0, True), ("1", at(6), 1, True),
        ]  # fmt: skip
        assert rows[1]["event"] is None
        assert json.loads(rows[0]["event"]).keys() == {"id", "time", "customer", "amount", "known_time"}
        assert before <= rows[0]["recorded_at"] <= dt.datetime.now(dt.UTC)


class TestRefusals:
    def test_all_times_that_cannot_be_right_are_told_at_once_and_nothing_is_taken(
        self, service: Service, given: Settings
    ) -> None:
        score(service, 1, 10)
        with pytest.raises(Refusal) as refused:
            correct(service, (1, 9, None), (1, 12, version(24 * 500)), (1, 11, version(10, 5)))
        assert refused.value.status == 422
        assert refused.value.faults == [
            {"field": "$.corrections[0].known_time", "rule": "Not before the event itself was known"},
            {"field": "$.corrections[1].event.time", "rule": "At most 400 days after the newest event"},
        ]
        assert seen(service, 13)[1] == 100
        assert not prediction_log.corrections(service.store, given.log).exists()

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"corrections": []},
            {"corrections": [{"id": 1, "known_time": at(5)}]},
            {"corrections": [{"id": 1, "known_time": "2018-08-15T10:00:00", "event": None}]},
            {"corrections": [{"id": "1", "known_time": at(5), "event": None}]},
            {"corrections": [{"id": 1, "known_time": at(5), "event": {"amount": 1}}]},
            {"corrections": [{"id": 1, "known_time": at(5), "event": {"id": 1, **version(0)}}]},
            {"corrections": [{"id": 1, "known_time": at(5), "event": version(0, -1)}]},
            {"corrections": [{"id": 1, "known_time": at(5), "event": None, "more": 1}]},
            {"corrections": [{"id": 1, "known_time": at(5), "event": None}] * 1001},
        ],
    )
    def test_a_body_that_breaks_the_schema(self, given: Settings, body: Any) -> None:
        endpoint = Endpoint(dataclasses.replace(given, max_body_bytes=262_144))
        answer = asyncio.run(call(endpoint, "/v1/corrections", [json.dumps(body).encode()]))
        assert answer.status_code == 422

    def test_a_thousand_are_taken(self, given: Settings) -> None:
        endpoint = Endpoint(dataclasses.replace(given, max_body_bytes=262_144))
        body = {"corrections": [{"id": 1, "known_time": at(5), "event": None}] * 1000}
        answer = asyncio.run(call(endpoint, "/v1/corrections", [json.dumps(body).encode()]))
        assert (answer.status_code, json.loads(answer.body)) == (200, {"accepted": 1000, "in_feature_state": 0})


def test_a_model_that_shows_earlier_events_takes_no_corrections(store: Store, tmp_path: Path) -> None:
    history = ViewConfig("h", VIEW.entity, ["2d"], features=[FeatureConfig("earlier", "previous")], events=2)
    service = Service(settings(store, tmp_path, features=FeatureSet.of(FeaturesConfig(views=[VIEW, history]), DATA)))
    score(service, 1, 0)
    with pytest.raises(Refusal, match="corrections are not taken in"):
        correct(service, (1, 5, version(0, 70)))
    service.compact()
    assert prediction_log.told_corrections(service.store, service.settings.log, DATA).num_rows == 0


def test_an_event_that_was_moved_into_what_is_remembered_is_there_after_a_restart(service: Service) -> None:
    score(service, 1, 0, amount=10)
    correct(service, (1, 24 * 2, version(24 * 17, 70)))
    tell(service, 1, 1, hours=24 * 3)
    score(service, 2, 24 * 30)
    score(service, 3, 24 * 17)
    assert seen(service, 24 * 20) == [2, 170, 1]
    assert seen(restarted(service), 24 * 20 + 1) == [3, 170, 1]
