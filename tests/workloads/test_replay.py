"""The replay sends every event once, a customer's events in their order, and labels when the data's clock says so."""

import datetime as dt
import json

import pyarrow as pa
import pytest

from workbench.config import Config
from workbench.data import labels
from workbench.errors import EnvironmentFault
from workloads import door, replay

START = dt.datetime(2018, 8, 15, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def cfg() -> Config:
    return door.composed(["experiment=smoke", "replay.connections=4"])


def events(count: int = 200) -> pa.Table:
    times = [START + dt.timedelta(minutes=37 * i) for i in range(count)]
    return pa.table(
        {
            "transaction_id": list(range(count)),
            "event_time": pa.array(times, labels.TIME),
            "known_time": pa.array(times, labels.TIME),
            "customer_id": [i * 7 % 23 for i in range(count)],
            "terminal_id": [i % 5 for i in range(count)],
            "amount_minor": [100 + i for i in range(count)],
        }
    )


def told(count: int = 200) -> pa.Table:
    known = [START + dt.timedelta(minutes=37 * i + 5) for i in range(count)]
    columns = {"transaction_id": list(range(count)), "known_time": pa.array(known, labels.TIME)}
    return pa.table({**columns, "label": [0] * count, "scenario": [None] * count})


def sent(lanes: list[list[bytes]]) -> list[list[dict[str, int]]]:
    return [[json.loads(body) for body in lane] for lane in lanes]


def test_every_event_takes_one_lane_and_a_customers_events_the_same_one_in_their_order(cfg: Config) -> None:
    lanes = sent(replay._lanes(cfg, events()))
    assert len(lanes) == 4
    assert sorted(one["transaction_id"] for lane in lanes for one in lane) == list(range(200))
    homes = {one["customer_id"]: place for place, lane in enumerate(lanes) for one in lane}
    for place, lane in enumerate(lanes):
        assert all(homes[one["customer_id"]] == place for one in lane)
        assert [one["transaction_id"] for one in lane] == sorted(one["transaction_id"] for one in lane)


def test_a_body_is_a_transaction_with_its_time_and_without_what_only_the_source_knows(cfg: Config) -> None:
    first = json.loads(replay.bodies(cfg, events(1))[0])
    assert first == {
        "transaction_id": 0,
        "event_time": "2018-08-15T00:00:00+00:00",
        "customer_id": 0,
        "terminal_id": 0,
        "amount_minor": 100,
    }


def test_the_steps_hold_every_event_and_label_once_in_the_order_of_the_clock(cfg: Config) -> None:
    steps = list(replay._steps(cfg, events(), told()))
    assert [one for rows, _ in steps for one in rows["transaction_id"].to_pylist()] == list(range(200))
    last = events()["event_time"][-1].as_py()
    heard = [one for _, rows in steps for one in rows["transaction_id"].to_pylist()]
    assert heard == sorted(set(heard))
    missed = told().filter(pa.compute.less(told()["known_time"], pa.scalar(last, labels.TIME))).num_rows
    assert len(heard) >= missed, "whatever is known by the last event is told"


def test_no_label_is_told_more_than_a_step_before_it_is_known(cfg: Config) -> None:
    for rows, learned in replay._steps(cfg, events(), told()):
        begins = rows["event_time"][0].as_py().replace(hour=0, minute=0)
        assert all(begins <= at < begins + replay.STEP for at in learned["known_time"].to_pylist())


@pytest.mark.parametrize("statuses", [{200: 199}, {200: 199, 503: 1}, {}])
def test_a_replay_that_was_not_answered_in_full_says_what_to_do(cfg: Config, statuses: dict[int, int]) -> None:
    outcome = replay.Outcome(statuses=statuses)
    with pytest.raises(EnvironmentFault, match=r"replay\.time_limit_s=90\. Raise it, or replay less: replay\.days=1"):
        replay._check(cfg, events(), outcome, 90.0)


def test_a_replay_that_was_answered_in_full_passes(cfg: Config) -> None:
    replay._check(cfg, events(), replay.Outcome(statuses={200: 200}), 1.0)
