"""What is answered follows from the state and the clock of the stream."""

import dataclasses
import datetime as dt
import json
import math
import time

import msgspec
import pytest

from serve import answers
from serve.answers import Refusal
from serve.models import Models
from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import EVENTS, START, features, logged, score, tell
from tests.serve.small import FEATURES
from workbench.data import labels


class TestFeatures:
    def test_an_event_counts_itself_and_its_customers_last_seven_days(self, service: Service) -> None:
        for identity, hours in enumerate((0, 1, 1, 24 * 7, 24 * 7 + 0.5, 24 * 14.5)):
            score(service, identity, hours, amount=identity)
        assert features(service) == [[0, 1, 0], [1, 2, 0], [2, 3, 0], [3, 3, 0], [4, 4, 0], [5, 1, 0]]

    def test_customers_do_not_see_each_other(self, service: Service) -> None:
        for identity, customer in enumerate((1, 2, 1, 11, 2)):
            score(service, identity, identity, customer)
        assert [count for _, count, _ in features(service)] == [1, 1, 2, 1, 2]

    def test_an_event_that_arrives_late_sees_its_own_past_only(self, service: Service) -> None:
        for identity, hours in enumerate((5, 1, 3)):
            score(service, identity, hours)
        assert [count for _, count, _ in features(service)] == [1, 1, 2]

    def test_an_event_sent_twice_counts_once_and_gets_the_same_answer(self, service: Service) -> None:
        first, again = score(service, 1, 0), score(service, 1, 0)
        score(service, 2, 1)
        assert first == again
        assert [count for _, count, _ in features(service)] == [1, 2]

    def test_an_event_that_is_scored_once_more_on_purpose_counts_once(self, service: Service) -> None:
        for _ in range(2):
            score(service, 1, 0, again=True)
        score(service, 2, 1)
        assert [count for _, count, _ in features(service)] == [1, 1, 2]

    def test_zones_do_not_matter(self, service: Service) -> None:
        for identity, when in enumerate(("2018-08-15T01:00:00Z", "2018-08-15T02:30:00+02:00")):
            body = {"id": identity, "time": when, "customer": 1, "amount": 1}
            service.score(EVENTS.decode(json.dumps(body)), "r")
        assert [count for _, count, _ in features(service)] == [1, 1], "the second happened half an hour earlier"


class TestScores:
    @pytest.mark.parametrize("amount", [0, 1, 250, 5000])
    def test_a_score_is_the_models_probability_and_is_logged_with_its_parts(
        self, service: Service, amount: int
    ) -> None:
        answer = score(service, 1, 0, amount=amount)
        logit = 0.001 * (amount + 1)  # the member adds up amount, count and share
        assert answer["score"] == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-6)
        (row,) = logged(service)
        assert row["score"] == answer["score"]
        assert row["member_logits"] == [pytest.approx(logit, rel=1e-6)]

    def test_the_threshold_decides(self, service: Service) -> None:
        scored = score(service, 1, 0, amount=100)["score"]
        decisions = []
        for threshold in (scored, math.nextafter(scored, 1)):
            service.models = Models(dataclasses.replace(service.bundle, threshold=threshold))
            decisions.append(score(service, 1, 0, amount=100, again=True)["decision"])
        assert decisions == ["flag", "pass"]
        assert [row["flagged"] for row in logged(service)] == [True, True, False]

    def test_an_answer_names_what_it_was_made_with(self, service: Service) -> None:
        answer = score(service, 7, 0)
        (row,) = logged(service)
        names = {"request_id": "r7", "model_version": "v1", "feature_view_version": FEATURES.digest}
        assert {name: answer[name] for name in names} == {name: row[name] for name in names} == names

    def test_the_time_it_took_and_the_times_it_happened_are_recorded(self, service: Service) -> None:
        before, started = dt.datetime.now(dt.UTC), time.perf_counter_ns()
        score(service, 1, 2.5)
        elapsed_us, after = (time.perf_counter_ns() - started) / 1000, dt.datetime.now(dt.UTC)
        (row,) = logged(service)
        assert 0 < row["latency_us"] <= elapsed_us
        assert before <= row["received_at"] <= after
        assert row["event_time"] == START + dt.timedelta(hours=2.5)

    def test_the_logged_features_give_the_logged_score_again(self, service: Service) -> None:
        for identity in range(20):
            score(service, identity, identity / 3, customer=identity % 3, amount=identity**3)
        rows = logged(service)
        assert [service.bundle.scorer.one(row["features"])[0] for row in rows] == [row["score"] for row in rows]


class TestLabels:
    def test_a_label_counts_from_the_time_at_which_it_is_known(self, service: Service) -> None:
        score(service, 1, 0)
        assert tell(service, 1, 1, hours=10) == {"accepted": 1, "in_feature_state": 1}
        for identity, hours in enumerate((1, 9.99, 10, 20), start=2):
            score(service, identity, hours)
        assert [risk for *_, risk in features(service)] == [0, 0, 0, 1 / 4, 1 / 5]

    def test_a_correction_counts_from_its_own_time(self, service: Service) -> None:
        score(service, 1, 0)
        tell(service, 1, 1, hours=10)
        tell(service, 1, 0, hours=20)
        for identity, hours in enumerate((9, 19, 20), start=2):
            score(service, identity, hours)
        assert [risk for *_, risk in features(service)] == [0, 0, 1 / 3, 0]

    def test_labels_may_arrive_in_any_order(self, service: Service) -> None:
        score(service, 1, 0)
        tell(service, 1, 0, hours=20)
        tell(service, 1, 1, hours=10)
        score(service, 2, 15)
        score(service, 3, 25)
        assert [risk for *_, risk in features(service)] == [0, 1 / 2, 0]

    def test_a_label_told_twice_counts_once(self, service: Service) -> None:
        score(service, 1, 0)
        for _ in range(2):
            tell(service, 1, 1, hours=1)
        score(service, 2, 2)
        assert [risk for *_, risk in features(service)] == [0, 1 / 2]

    def test_a_label_of_an_unknown_event_is_kept_for_training_only(self, service: Service) -> None:
        assert tell(service, 42, 1, hours=1) == {"accepted": 1, "in_feature_state": 0}
        score(service, 1, 2)
        assert features(service) == [[100, 1, 0]]
        ledger = labels.read(service.store, "raw", channel="feedback")
        assert ledger.select(["id", "label", "event_time"]).to_pylist() == [{"id": 42, "label": 1, "event_time": None}]

    def test_the_ledger_keeps_what_was_said_and_when(self, service: Service) -> None:
        score(service, 1, 0)
        before = dt.datetime.now(dt.UTC)
        tell(service, 1, 1, hours=10)
        service.compact()
        (row,) = labels.read(service.store, "raw", channel="feedback").to_pylist()
        assert before <= row.pop("recorded_at") <= dt.datetime.now(dt.UTC)
        assert row == {
            "id": 1, "label": 1, "scenario": None, "source": "endpoint", "channel": "feedback", "event_time": START,
            "known_time": START + dt.timedelta(hours=10),
        }  # fmt: skip


class TestTheStreamsClock:
    def test_an_event_far_ahead_of_the_newest_is_refused_and_leaves_the_state_as_it_was(self, given: Settings) -> None:
        service = Service(dataclasses.replace(given, ahead_days=30.0))
        score(service, 1, 0)
        with pytest.raises(Refusal) as caught:
            score(service, 2, 24 * 31)
        assert caught.value.status == 422
        assert caught.value.faults == [{"field": "$.time", "rule": "At most 30 days after the newest event"}]
        score(service, 3, 24 * 5)
        assert len(service.state) == 2

    def test_the_first_event_of_an_empty_state_may_have_any_time_of_the_past_but_not_of_the_far_future(
        self, given: Settings
    ) -> None:
        service = Service(dataclasses.replace(given, ahead_days=2.0))
        now = (dt.datetime.now(dt.UTC) - START) / dt.timedelta(hours=1)
        for hours in (now + 49, 24 * 365 * 1000):
            with pytest.raises(Refusal) as caught:
                score(service, 1, hours)
            assert [one["rule"] for one in caught.value.faults] == ["At most 2 days after now, while no event is known"]
        for one, hours in ((service, -24 * 365 * 30), (Service(dataclasses.replace(given, application="b")), now + 47)):
            assert score(one, 1, hours)["decision"] in ("flag", "pass")


def test_a_field_name_made_to_look_like_a_place_is_not_repeated() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        EVENTS.decode(json.dumps({"x - at `SECRET": 1}))
    assert "SECRET" not in str(answers.invalid(caught.value).faults)
