"""Online and offline features are equal to the last bit."""

import dataclasses
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code.features import oracle
from workbench.features import offline, online
from workbench.features.definitions import DAY_US, Feature, FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.online import OnlineState

FEATURES = oracle.feature_set()
TIME = pa.timestamp("us", "UTC")
STREAMS = st.lists(
    st.tuples(
        st.integers(0, 12),  # time in half days: many ties, some beyond the horizon
        st.integers(0, 2),  # customer
        st.one_of(st.none(), st.integers(-(10**12), 10**12)),  # amount
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), max_size=3),  # labels: half days after it, value
    ),
    min_size=1,
    max_size=25,
)


def in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([("time", "ascending"), ("id", "ascending")])


def punctual(seed: int) -> tuple[pa.Table, pa.Table]:
    """Events that are known when they happen, as an endpoint sees them; the first half of them is history."""
    events, labels = oracle.random_data(seed)
    return in_order(events.set_column(2, "known_time", events["time"])), labels


@pytest.mark.parametrize("seed", range(20))
def test_history_then_single_events_give_the_offline_numbers(seed: int) -> None:
    events, labels = punctual(seed)
    expected = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
    state = OnlineState(FEATURES)
    half = events.num_rows // 2
    state.load(events.slice(0, half), labels)
    rows = oracle._rows(events)[half:]
    for at, row in enumerate(rows, start=half):
        # a label cannot be placed before its event: it is told when the event comes, which is then asked for again
        state.observe(row)
        for said in [one for one in oracle._rows(labels) if one["id"] == row["id"]]:
            state.label(said["id"], said["label"] == 1, said["known_time"])
        found = dict(zip(FEATURES.names, state.observe(row), strict=True))
        assert found == {name: expected[name][at] for name in FEATURES.names}, at


def test_a_repeated_event_is_not_counted_twice() -> None:
    events, labels = punctual(3)
    state = OnlineState(FEATURES)
    state.load(events, labels)
    last = oracle._rows(events)[-1]
    once = state.observe(last)
    assert state.observe(last) == once
    assert len(state) == events.num_rows


def test_a_label_of_an_unknown_event_is_said_to_be_unknown() -> None:
    assert not OnlineState(FEATURES).label(7, True, 0)


def test_a_late_label_changes_later_features_only() -> None:
    state = OnlineState(FEATURES)
    first = {"id": 1, "time": 0, "known_time": 0, "customer": 5, "amount": 10}
    state.observe(first)
    assert state.label(1, True, oracle.DAY // 4)
    rate = FEATURES.names.index("before_known_positive_rate_1d")
    early = state.observe({**first, "id": 2, "time": oracle.DAY // 8})
    late = state.observe({**first, "id": 3, "time": oracle.DAY // 2})
    assert (early[rate], late[rate]) == (0.0, 0.5)


def test_what_is_beyond_twice_the_horizon_is_forgotten() -> None:
    state = OnlineState(FEATURES)
    for day in range(40):
        state.observe({"id": day, "time": day * oracle.DAY, "known_time": day * oracle.DAY, "customer": 1, "amount": 1})
    assert len(state) == 2 * FEATURES.horizon_us // oracle.DAY + 1


def event(identity: Any, day: float, customer: Any = 5, amount: int | None = 10, known_day: float | None = None) -> Any:
    time, known = round(day * DAY_US), round((day if known_day is None else known_day) * DAY_US)
    return {"id": identity, "time": time, "known_time": known, "customer": customer, "amount": amount}


def asked(state: OnlineState, name: str, one: dict[str, Any]) -> float:
    return state.observe(one)[FEATURES.names.index(name)]


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("d", value) for value in values]


def facts(stream: list[Any], id_of: Any) -> tuple[pa.Table, pa.Table]:
    """Events and ledger rows of a stream, in the order of (time, id)."""
    ordered = sorted((time, number, *rest) for number, (time, *rest) in enumerate(stream))
    time = pa.array([time * DAY_US // 2 for time, *_ in ordered])
    told = [
        (number, label, (time + after) * DAY_US // 2) for time, number, _, _, said in ordered for after, label in said
    ]
    events = {
        "id": pa.array([id_of(number) for _, number, *_ in ordered]),
        "time": time.cast(TIME),
        "known_time": time.cast(TIME),
        "customer": pa.array([customer for _, _, customer, *_ in ordered]),
        "amount": pa.array([amount for *_, amount, _ in ordered], pa.int64()),
    }
    labels = {
        "id": pa.array([id_of(number) for number, _, _ in told], events["id"].type),
        "label": pa.array([label for _, label, _ in told], pa.int8()),
        "known_time": pa.array([known for _, _, known in told], pa.int64()).cast(TIME),
        "recorded_at": pa.array(range(len(told)), pa.int64()).cast(TIME),
    }
    return pa.table(events), pa.table(labels)


def arrive(state: OnlineState, row: dict[str, Any], told: list[dict[str, Any]]) -> None:
    """The event comes, then all that is ever said of it."""
    state.observe(row)
    for said in (one for one in told if one["id"] == row["id"]):
        state.label(said["id"], said["label"] == 1, said["known_time"])


def offline_of(row: dict[str, Any], rows: list[dict[str, Any]], labels: pa.Table, clock: int) -> list[float]:
    """The offline numbers of one event: all of them if it lies within the horizon, else of what is remembered."""
    oldest = clock - 2 * FEATURES.horizon_us
    if row["time"] < oldest:
        rows, labels = [row], labels.slice(0, 0)
    elif row["time"] < clock - FEATURES.horizon_us:
        rows = [one for one in rows if one["time"] >= oldest]
    table = pa.Table.from_pylist(rows, pa.schema({**{n: pa.int64() for n in row}, "time": TIME, "known_time": TIME}))
    found = offline.entity_features(FEATURES, "customer", table, PositiveIntervals.of(labels, "id"))
    return [float(found[name][rows.index(row)]) for name in FEATURES.names]


class TestParity:
    @settings(deadline=None, max_examples=60)
    @given(STREAMS, st.booleans(), st.floats(0, 1))
    def test_any_cut_of_any_stream_gives_the_offline_bits(self, stream: list[Any], texts: bool, share: float) -> None:
        events, labels = facts(stream, (lambda number: f"{number:03}") if texts else int)
        expected = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
        state, cut = OnlineState(FEATURES), int(share * events.num_rows)
        state.load(events.slice(0, cut), labels)
        told = oracle._rows(labels)
        for at, row in enumerate(oracle._rows(events)[cut:], start=cut):
            state.observe(row)
            for said in (one for one in told if one["id"] == row["id"]):
                state.label(said["id"], said["label"] == 1, said["known_time"])
            assert bits(state.observe(row)) == bits([expected[name][at] for name in FEATURES.names])

    @pytest.mark.parametrize("seed", range(10))
    def test_every_event_of_a_loaded_history_with_late_facts_gets_its_own_numbers_again(self, seed: int) -> None:
        events, labels = oracle.random_data(seed)
        expected = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
        state = OnlineState(FEATURES)
        state.load(events, labels)
        for at, row in enumerate(oracle._rows(events)):
            assert state.observe(row) == [expected[name][at] for name in FEATURES.names]

    @pytest.mark.parametrize("seed", range(10))
    def test_events_that_arrive_when_they_are_known_see_what_offline_says(self, seed: int) -> None:
        events, labels = oracle.random_data(seed)
        expected = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
        state, rows, told = OnlineState(FEATURES), oracle._rows(events), oracle._rows(labels)
        for at in sorted(range(len(rows)), key=lambda at: (rows[at]["known_time"], rows[at]["time"], rows[at]["id"])):
            arrive(state, rows[at], told)
            assert state.observe(rows[at]) == [expected[name][at] for name in FEATURES.names]

    @settings(max_examples=60)
    @given(STREAMS, st.lists(st.integers(0, 24), min_size=25, max_size=25))
    def test_whatever_comes_late_gets_the_offline_bits_when_it_comes(self, stream: list[Any], late: list[int]) -> None:
        events, labels = facts(stream, int)
        rows, told, state = oracle._rows(events), oracle._rows(labels), OnlineState(FEATURES)
        for row in rows:
            row["known_time"] += late[row["id"]] * DAY_US // 2
        rows.sort(key=lambda row: (row["known_time"], row["time"], row["id"]))
        for number, row in enumerate(rows, start=1):
            arrive(state, row, told)
            remembered = rows if row["time"] >= state.clock - FEATURES.horizon_us else rows[:number]
            assert bits(state.observe(row)) == bits(offline_of(row, remembered, labels, state.clock))

    @settings(max_examples=60)
    @given(STREAMS, st.randoms(use_true_random=False))
    def test_any_order_of_arrival_ends_in_the_same_bits(self, stream: list[Any], random: Any) -> None:
        events, labels = facts([(3 * time, *rest) for time, *rest in stream], int)  # up to 18 days: some are forgotten
        rows, told, state = oracle._rows(events), oracle._rows(labels), OnlineState(FEATURES)
        for row in random.sample(rows, len(rows)):
            arrive(state, row, told)
        for row in random.sample(rows, len(rows)):
            assert bits(state.observe(row)) == bits(offline_of(row, rows, labels, state.clock))

    @pytest.mark.parametrize("sweep", [1, 3, 10**9])
    def test_when_memory_is_swept_changes_no_number(self, sweep: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(online, "SWEEP", sweep)
        random = np.random.default_rng(0)
        rows = [event(number, number / 4, int(random.integers(3)), number % 7) for number in range(300)]
        table = pa.Table.from_pylist(rows)
        for name in ("time", "known_time"):
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(TIME))
        no_labels = PositiveIntervals(*[np.zeros(0, np.int64)] * 3)
        expected = offline.entity_features(FEATURES, "customer", table, no_labels)
        state = OnlineState(FEATURES)
        for at, row in enumerate(rows):
            assert state.observe(row) == [expected[name][at] for name in FEATURES.names]
        held = sum(len(history.time) for history in state._histories["customer"].values())
        assert held < 60 if sweep < 10 else held > 100

    def test_two_entities_and_the_row_come_together_in_model_order(self) -> None:
        windows = {"window_us": 3 * DAY_US}
        features = FeatureSet(
            (
                Feature("shop_count", "count", entity="shop", delay_us=DAY_US, **windows),
                Feature("amount", "column", "amount"),
                Feature("card_sum", "sum", "amount", entity="customer", current_row=True, **windows),
                Feature("risk", "known_positive_rate", entity="shop", **windows),
                Feature("weekend", "weekend"),
            ),
            "id",
            "time",
            "known_time",
        )
        events, labels = punctual(4)
        shops = np.random.default_rng(0).integers(0, 3, events.num_rows).astype(str)
        events = events.append_column("shop", pa.array(shops.tolist()))
        expected = offline.row_features(features, events)
        for entity in features.entities:
            expected |= offline.entity_features(features, entity, events, PositiveIntervals.of(labels, "id"))
        state = OnlineState(features)
        state.load(events, labels)
        for at, row in enumerate(oracle._rows(events)):
            assert state.observe(row) == [expected[name][at] for name in features.names]

    def test_a_model_of_rows_alone_needs_no_history_and_keeps_none_for_long(self) -> None:
        features = dataclasses.replace(FEATURES, features=(Feature("amount", "column", "amount"),))
        state = OnlineState(features)
        assert [state.observe(event(number, number, amount=number)) for number in range(9)] == [[n] for n in range(9)]
        assert len(state) == 1


class TestLabels:
    RATE = "before_known_positive_rate_3d"

    def state(self) -> OnlineState:
        state = OnlineState(FEATURES)
        for number in range(2):
            state.observe(event(number, 0))
        return state

    def rate_at(self, state: OnlineState, day: float) -> float:
        return asked(state, self.RATE, event(f"{day}", day)) * (len(state) - 1)

    def test_a_correction_counts_from_its_known_time_in_whatever_order_they_are_told(self) -> None:
        said = [(True, 0.25), (False, 0.5), (True, 0.75)]
        for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
            state = self.state()
            for place in order:
                assert state.label(0, said[place][0], round(said[place][1] * DAY_US))
            assert [round(self.rate_at(state, day)) for day in (0.125, 0.25, 0.5, 0.75)] == [0, 1, 0, 1]

    def test_of_two_labels_known_at_one_time_the_one_told_last_counts(self) -> None:
        state = self.state()
        for positive in (True, False, True, False):
            state.label(0, positive, DAY_US // 4)
            assert asked(state, self.RATE, event(f"{positive}", 0.5)) * (len(state) - 1) == positive

    def test_a_repeated_label_is_remembered_once(self) -> None:
        state = self.state()
        for _ in range(5):
            assert state.label(0, True, DAY_US // 4)
        assert state._labels[0] == ((DAY_US // 4, 1),)
        assert len(state._histories["customer"][5].positive_ids) == 1

    def test_a_label_far_later_than_any_window_is_taken_and_changes_nothing_seen(self) -> None:
        state = self.state()
        assert state.label(0, True, 400 * DAY_US)
        assert self.rate_at(state, 1) == 0

    def test_a_label_of_a_forgotten_event_is_not_taken(self) -> None:
        state = self.state()
        state.observe(event(9, 20, customer=6))
        assert not state.label(0, True, 0)
        assert state.time_of(0) is None


class TestMemory:
    def test_an_event_from_before_all_memory_sees_itself_alone_and_leaves_no_trace(self) -> None:
        state = OnlineState(FEATURES)
        state.observe(event(1, 0))
        state.observe(event(2, 10.5))
        found = dict(zip(FEATURES.names, state.observe(event(3, 0.25, amount=7)), strict=True))
        assert (found["now_count_3d"], found["now_mean_3d"], found["before_count_3d"]) == (1, 7, 0)
        assert (state.time_of(3), len(state), state.label(3, True, 0)) == (None, 1, False)

    def test_a_late_event_is_forgotten_by_its_time_not_by_its_arrival(self) -> None:
        state = OnlineState(FEATURES)
        for number, day in enumerate((5, 0, 11)):
            state.observe(event(number, day))
        assert [state.time_of(number) is None for number in range(3)] == [False, True, False]
        assert not state.label(1, True, 0)

    def test_the_time_of_an_event_is_told_while_it_is_remembered(self) -> None:
        state = OnlineState(FEATURES)
        state.observe(event(1, 2))
        assert (state.time_of(1), state.time_of(2)) == (2 * DAY_US, None)

    def test_what_is_exactly_twice_the_horizon_ago_is_kept_and_a_microsecond_more_is_not(self) -> None:
        state = OnlineState(FEATURES)
        state.observe(event(1, 0))
        state.observe({**event(2, 0, customer=6), "time": 2 * FEATURES.horizon_us})
        assert state.time_of(1) == 0
        state.observe({**event(3, 0, customer=6), "time": 2 * FEATURES.horizon_us + 1})
        assert state.time_of(1) is None

    def test_customers_of_whom_nothing_is_left_cost_nothing(self) -> None:
        state = OnlineState(FEATURES)
        for number in range(100):
            state.observe(event(number, number, customer=number))
            state.label(number, True, number * DAY_US)
        assert len(state._histories["customer"]) == len(state._labels) == len(state) == 11

    def test_an_event_without_a_known_time_was_known_when_it_happened(self) -> None:
        state = OnlineState(FEATURES)
        row = event(1, 0)
        del row["known_time"]
        state.observe(row)
        assert asked(state, "before_count_1d", event(2, 0)) == 1

    def test_a_null_amount_counts_as_an_event_of_nothing(self) -> None:
        state = OnlineState(FEATURES)
        state.observe(event(1, 0, amount=None))
        last = state.observe(event(2, 0.5, amount=30))
        found = dict(zip(FEATURES.names, last, strict=True))
        assert (found["now_sum_1d"], found["now_mean_1d"], found["before_mean_1d"]) == (30, 15, 0)
