"""The replay sends every event once, a customer's events in their order, all that is known when it is known."""

import copy
import dataclasses
import datetime as dt
import json

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from serve import schemas
from workbench.config import ColumnConfig, Config
from workbench.data import labels
from workbench.errors import EnvironmentFault
from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.online import OnlineState
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
    known = [START + dt.timedelta(days=1, minutes=37 * i + 5) for i in range(count)]
    columns = {"transaction_id": list(range(count)), "known_time": pa.array(known, labels.TIME)}
    return pa.table({**columns, "label": [0] * count, "scenario": [None] * count})


def sent(lanes: list[list[bytes]]) -> list[list[dict[str, int]]]:
    return [[json.loads(body) for body in lane] for lane in lanes]


def test_events_that_see_each_other_by_no_common_column_take_one_lane(cfg: Config) -> None:
    cfg = copy.deepcopy(cfg)
    cfg.features.views[2].delay = "0d"
    (lane,) = sent(replay._lanes(cfg, events()))
    assert [one["transaction_id"] for one in lane] == list(range(200))


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
    steps = list(replay.steps(cfg, events(), told()))
    assert [one for rows, _ in steps for one in rows["transaction_id"].to_pylist()] == list(range(200))
    heard = [one for _, rows in steps for one in rows["transaction_id"].to_pylist()]
    assert heard == sorted(set(heard))
    assert len(heard) == 200


def test_labels_are_told_in_the_step_in_which_they_become_known(cfg: Config) -> None:
    for number, (rows, learned) in enumerate(replay.steps(cfg, events(), told())):
        begins = START + number * replay.STEP
        for at in [*rows["event_time"].to_pylist(), *learned["known_time"].to_pylist()]:
            assert begins <= at < begins + replay.STEP


def test_a_label_that_is_known_before_its_event_is_told_after_it(cfg: Config) -> None:
    early = told().set_column(1, "known_time", events()["event_time"])
    sent: set[int] = set()
    for rows, learned in replay.steps(cfg, events(), early):
        assert set(learned["transaction_id"].to_pylist()) <= sent
        sent |= set(rows["transaction_id"].to_pylist())
    assert learned.num_rows, "the last step tells the labels of the last events"


def test_labels_of_history_are_told_in_their_own_step(cfg: Config) -> None:
    old = told().set_column(0, "transaction_id", pa.array(range(1000, 1200)))
    moved = old.set_column(1, "known_time", events()["event_time"])
    for number, (_, learned) in enumerate(replay.steps(cfg, events(), moved)):
        assert {at.date() for at in learned["known_time"].to_pylist()} <= {(START + number * replay.STEP).date()}


class TestTwoClocks:
    @pytest.fixture
    def booked(self, cfg: Config) -> Config:
        columns = {**cfg.data.columns, "booked_at": ColumnConfig("timestamp")}
        data = dataclasses.replace(cfg.data, known_time="booked_at", columns=columns)
        return dataclasses.replace(cfg, data=data)

    def events(self, *days: tuple[float, float]) -> pa.Table:
        """Events with ids 0, 1, ... of (event day, known day)."""
        first, second = ([START + dt.timedelta(one) for one in column] for column in zip(*days, strict=True))
        table = events(len(days)).rename_columns({"known_time": "booked_at"})
        for name, times in (("event_time", first), ("booked_at", second)):
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(times, labels.TIME))
        return table

    def test_an_event_goes_out_when_it_has_happened_and_is_known(self, booked: Config) -> None:
        table = self.events((0, 9), (1, 1), (3, 2), (2.5, 2.5), (0.5, 2.5), (4, 0))
        assert replay._in_order(booked, table)["transaction_id"].to_pylist() == [1, 4, 3, 2, 5, 0]
        steps = [rows["transaction_id"].to_pylist() for rows, _ in replay.steps(booked, table, told(0))]
        assert [len(one) for one in steps] == [0, 1, 2, 1, 1, 0, 0, 0, 0, 1]

    def test_its_known_time_travels_in_the_body_as_the_endpoint_takes_it(self, booked: Config) -> None:
        (body,) = replay.bodies(booked, self.events((0, 9)))
        event = msgspec.json.decode(body, type=schemas.event_type(booked.data))
        assert event.booked_at == START + dt.timedelta(9)

    def test_features_over_the_wire_are_those_of_the_snapshot(self, booked: Config) -> None:
        random = np.random.default_rng(0)
        days = [
            (at, at + late) for at, late in zip(random.random(80) * 9, random.choice([0, 0, 1, 5], 80), strict=True)
        ]
        table = replay._in_order(booked, self.events(*days))
        names = FeatureSet.of(booked.features, booked.data)
        expected = offline.row_features(names, table)
        for entity in names.entities:
            nothing = PositiveIntervals(*[np.zeros(0, np.int64)] * 3)
            expected |= offline.entity_features(names, entity, table, nothing)
        state = OnlineState(names)
        for at, body in enumerate(replay.bodies(booked, table)):
            values = msgspec.structs.asdict(msgspec.json.decode(body, type=schemas.event_type(booked.data)))
            times = {name: schemas.micros(values[name]) for name in ("event_time", "booked_at")}
            assert state.observe({**values, **times}) == [expected[name][at] for name in names.names]


@pytest.mark.parametrize("statuses", [{200: 199}, {200: 199, 503: 1}, {}])
def test_a_replay_that_was_not_answered_in_full_says_what_to_do(cfg: Config, statuses: dict[int, int]) -> None:
    outcome = replay.Outcome(statuses=statuses)
    with pytest.raises(EnvironmentFault, match=r"replay\.time_limit_s=90\. Raise it, or replay less: replay\.days=1"):
        replay._check(cfg, events(), outcome, 90.0)


def test_a_replay_of_what_the_endpoint_does_not_take_says_why_and_not_that_time_was_short(cfg: Config) -> None:
    outcome = replay.Outcome(statuses={200: 197, 422: 3}, refused="$.time: At most 30 days after the newest event")
    with pytest.raises(
        EnvironmentFault, match=r"3 of 200 events were refused with 422, the first by \$\.time: At"
    ) as told:
        replay._check(cfg, events(), outcome, 9.0)
    assert "data.columns" in str(told.value) and "time_limit_s" not in str(told.value)


def test_a_replay_that_was_answered_in_full_passes(cfg: Config) -> None:
    replay._check(cfg, events(), replay.Outcome(statuses={200: 200}), 1.0)
