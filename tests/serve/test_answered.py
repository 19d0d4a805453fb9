"""An event is answered once: sent again it gets its first answer, from wherever that is recorded, and counts once."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from serve import answered
from serve.answers import Refusal
from serve.endpoint import Endpoint
from serve.models import Models
from serve.schemas import micros
from serve.service import Service
from serve.settings import Settings
from tests.code.features.redis_server import needs_redis
from tests.serve.asked import CUSTOMER, START, features, logged, restarted, score
from tests.serve.small import EVENT, die, settings
from tests.serve.test_endpoint import call, check_refusal
from tests.serve.test_shared_state import placed
from workbench.data import labels, snapshots
from workbench.data.store import Store

HOUR_US = 3_600_000_000


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    return Service(settings(store, tmp_path))


def forgotten(service: Service) -> Service:
    service.answered._own.clear()
    return service


def moved(service: Service) -> Service:
    service.compact()
    return forgotten(service)


PLACES: dict[str, Callable[[Service], Service]] = {
    "memory": lambda service: service, "journal": forgotten, "table": moved, "a restart": restarted,
}  # fmt: skip


@pytest.mark.parametrize("lies_in", PLACES)
class TestTheFirstAnswer:
    def test_is_given_again_whatever_has_changed_since(self, service: Service, lies_in: str) -> None:
        first = score(service, 1, 0)
        score(service, 2, 0.5)
        again = PLACES[lies_in](service)
        again.models = Models(dataclasses.replace(again.bundle, version="v2", threshold=0.0))
        assert score(again, 1, 0) == first
        assert [row["id"] for row in logged(again)] == ["1", "2"]

    def test_is_refused_to_another_event_of_that_id_and_nothing_is_recorded(
        self, service: Service, lies_in: str
    ) -> None:
        score(service, 1, 0)
        again = PLACES[lies_in](service)
        for other in ({"hours": 1}, {"hours": 0, "amount": 101}, {"hours": 0, "customer": 1}):
            with pytest.raises(Refusal) as caught:
                score(again, 1, **other)  # type: ignore[arg-type]
            assert caught.value.status == 409
        assert len(logged(again)) == 1

    @pytest.mark.parametrize("again", [False, True], ids=["asked plainly", "asked for one more"])
    def test_stays_the_first_whatever_more_are_given(self, service: Service, lies_in: str, again: bool) -> None:
        first = score(service, 1, 0, again=again)
        service.models = Models(dataclasses.replace(service.bundle, version="v2", threshold=0.0))
        assert [score(service, 1, 0, again=True)["model_version"] for _ in range(2)] == ["v2", "v2"]
        assert score(PLACES[lies_in](service), 1, 0) == first

    def test_is_not_lost_to_another_event_of_that_id_that_asks_for_one_more(
        self, service: Service, lies_in: str
    ) -> None:
        first = score(service, 1, 0)
        again = PLACES[lies_in](service)
        if lies_in == "memory":
            with pytest.raises(Refusal) as caught:
                score(again, 1, 0, amount=7, again=True)
            assert caught.value.status == 409
        else:
            score(again, 1, 0, amount=7, again=True)
        assert score(again, 1, 0) == first
        assert len(logged(again)) == (1 if lies_in == "memory" else 2), "past memory the log is not asked"

    def test_is_given_to_an_event_from_before_all_memory_too(self, service: Service, lies_in: str) -> None:
        score(service, 1, 24 * 100)
        first = score(service, 2, 0)
        assert score(PLACES[lies_in](service), 2, 0) == first
        assert len(logged(service)) == 2 or lies_in == "a restart"


def test_a_column_that_was_declared_since_makes_no_other_event() -> None:
    known = answered.Answer('{"id":1}', {"score": 0.5})
    assert known.to('{"id":1,"country":null}') == {"score": 0.5}
    with pytest.raises(Refusal):
        known.to('{"id":1,"country":"NL"}')


@pytest.mark.parametrize("moved", [False, True], ids=["journal", "table"])
def test_of_answers_that_saw_the_same_events_the_one_received_first_is_the_first(moved: bool) -> None:
    early, late = (START + dt.timedelta(microseconds=us) for us in (1, 2))
    one = {"as_of": 5, "received_at": early if moved else micros(early)}
    more = {"as_of": 5, "received_at": micros(late) if moved else late}
    assert answered.first([more, one, {"as_of": 6, "received_at": 0}]) is one
    assert answered.first([]) is None


def test_only_so_many_answers_stay_in_memory(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "KEPT", 3)
    first = [score(service, identity, identity) for identity in range(5)]
    assert list(service.answered._own) == ["2", "3", "4"]
    assert [score(service, identity, identity) for identity in range(5)] == first


def test_an_event_of_the_history_is_scored_when_it_is_first_sent_and_then_answered_from_the_log(
    service: Service,
) -> None:
    time = pa.array([START], labels.TIME)
    row = {"id": [7], "time": time, "known_time": time, "customer": [CUSTOMER], "amount": [100]}
    snapshots.write(service.store, "validated", "clean", pa.table(row), parents={}, config={})
    until = round(START.timestamp() * 1e6) + 24 * HOUR_US
    die(service)
    given = dataclasses.replace(service.settings, validated_key="clean", history_until_us=until)
    assert score(one := Service(given), 7, 0) == score(forgotten(one), 7, 0)
    assert features(one) == [[100, 1, 0]]


async def test_over_http_a_repeated_event_gets_the_same_body_and_another_one_409(store: Store, tmp_path: Path) -> None:
    endpoint = Endpoint(settings(store, tmp_path))
    body = [json.dumps(EVENT).encode()]
    first = await call(endpoint, "/v1/score", body, x_request_id="first")
    forgotten(endpoint.service)
    again = await call(endpoint, "/v1/score", body, x_request_id="again")
    assert (again.body, again.headers["x-request-id"]) == (first.body, "again")
    other = await call(endpoint, "/v1/score", [json.dumps({**EVENT, "amount": 7}).encode()])
    check_refusal(other, 409)
    more = await call(endpoint, "/v1/score", body, x_request_id="more", x_score_again="true")
    assert json.loads(more.body)["request_id"] == "more"


@needs_redis
class TestReplicas:
    @pytest.mark.parametrize("compacted", [False, True], ids=["journal", "table"])
    def test_any_of_them_gives_the_answer_of_the_other(self, shared: Settings, compacted: bool) -> None:
        one, other = Service(shared), Service(shared)
        first = score(one, 1, 0)
        if compacted:
            one.compact()
        assert score(other, 1, 0) == first
        with pytest.raises(Refusal, match="409"):
            score(other, 1, 0, amount=7)
        one.compact()
        assert len(logged(other)) == 1

    def test_an_event_whose_replica_died_before_its_record_is_scored_once_by_all_others(self, shared: Settings) -> None:
        dying, one, other = (Service(shared) for _ in range(3))
        dying.state.placed(placed(dying, 1, 0))
        die(dying)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda turn: score((one, other)[turn % 2], 1, 0), range(8)))
        assert len({answer["score"] for answer in found}) == 1
        one.compact()
        assert [row["id"] for row in logged(other)] == ["1"]
        score(one, 2, 1)
        assert features(one)[-1][1] == 2

    def test_one_that_is_being_answered_elsewhere_is_waited_for(
        self, shared: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = Service(shared), Service(shared)
        append, asked = one.predictions.append, list[Any]()

        def slow(records: list[Any]) -> None:
            with ThreadPoolExecutor(1) as pool:
                asked.append(pool.submit(score, other, 1, 0))
                with pytest.raises(TimeoutError):
                    asked[0].result(0.2)
                append(records)

        monkeypatch.setattr(one.predictions, "append", slow)
        first = score(one, 1, 0)
        assert asked[0].result(5) == first

    def test_and_refused_where_that_takes_too_long(self, shared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serve.service.PATIENCE_S", 0.1)
        one, other = Service(shared), Service(shared)
        one.state.placed(placed(one, 1, 0))
        with pytest.raises(Refusal) as caught:
            score(other, 1, 0)
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})


@pytest.mark.parametrize("year", [1, 81, 1869, 1969])
async def test_an_event_from_long_before_1970_is_scored_once_and_sees_itself(
    store: Store, tmp_path: Path, year: int
) -> None:
    endpoint = Endpoint(settings(store, tmp_path))
    for identity in (1, 1, 2):
        body = [json.dumps({**EVENT, "id": identity, "time": f"{year:04}-05-28T03:15:41Z"}).encode()]
        assert (await call(endpoint, "/v1/score", body)).status_code == 200
    assert [row["id"] for row in logged(endpoint.service)] == ["1", "2"]


@pytest.mark.parametrize("value", ["", "yes", "TRUE", "SECRET"])
async def test_the_header_that_asks_for_one_more_answer_is_true_or_false(
    store: Store, tmp_path: Path, value: str
) -> None:
    endpoint = Endpoint(settings(store, tmp_path))
    response = await call(endpoint, "/v1/score", [json.dumps(EVENT).encode()], x_score_again=value)
    assert check_refusal(response, 422)["faults"] == [{"field": "x-score-again", "rule": "true or false"}]
