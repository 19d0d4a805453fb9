"""Online features are what brute force gives, to the last bit, in whatever order events, corrections, labels come."""

import dataclasses
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code.features import oracle
from tests.code.features.samples import TIME, columns_of, event, labels, small
from workbench.features import online
from workbench.features.definitions import DAY_US, Feature, FeatureSet
from workbench.features.online import OnlineState

ALL, SMALL = oracle.feature_set(), small()
CARD = ("customer",)
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
Row = dict[str, Any]


def random_case(seed: int, rows: int | None = None) -> tuple[pa.Table, pa.Table]:
    """Events and labels of a seed; every fifth has wide amounts. 8 days: what is known first is within the horizon."""
    random = np.random.default_rng(seed)
    events = oracle.random_events(random, rows or int(random.integers(1, 90)), wide=seed % 5 == 0)
    return events, oracle.random_labels(random, events)


def delivered(seed: int, versions: list[Row]) -> list[Row]:
    """Versions in some order: an event before its corrections; two that are known at once in their own order."""
    random = np.random.default_rng(seed)
    by_id: dict[Any, list[Row]] = {}
    for one in sorted(versions, key=lambda one: one["known_time"]):
        by_id.setdefault(one["id"], []).append(one)
    timed: list[tuple[float, int, Row]] = []
    for ordered in by_id.values():
        begin = float(random.random())
        at = {one["known_time"]: begin + float(random.random()) for one in ordered}
        timed += [(begin if number == 0 else at[one["known_time"]], number, one) for number, one in enumerate(ordered)]
    return [one for *_, one in sorted(timed, key=lambda one: one[:2])]


def take_in(state: OnlineState, versions: list[Row]) -> None:
    """Observe each event when it comes first, and correct it afterwards. A deletion of what never came is nothing."""
    for one in versions:
        row = {key: value for key, value in one.items() if key != "gone"}
        gone = one.get("gone", False)
        if state.time_of(one["id"]) is not None:
            assert state.correct(one["id"], None if gone else row, one["known_time"])
        elif gone:
            assert not state.correct(one["id"], None, one["known_time"])
        else:
            state.observe(row)


def tell(state: OnlineState, told: list[Row], order: Any = None) -> None:
    """Tell labels; of two that are known at once the one recorded later comes later."""
    for said in told if order is None else sorted(told, key=order):
        state.label(said["id"], said["label"] == 1, said["known_time"])


def answers(state: OnlineState, rows: list[Row]) -> dict[int, dict[str, float]]:
    """What is answered to events that are asked for (once more)."""
    names = state.feature_set.names
    return {row["id"]: dict(zip(names, state.observe(row), strict=True)) for row in rows}


def asking(versions: list[Row], expected: dict[int, Any]) -> list[Row]:
    """The version of each event that asked: the one that is known first."""
    first: dict[int, Row] = {}
    for one in sorted(versions, key=lambda one: one["known_time"]):
        first.setdefault(one["id"], one)
    return [first[identity] for identity in expected]


def corrected_in_halves(state: Any, seed: int) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
    """What a state answers that was told corrections and deletions, labels in between; and what brute force says."""
    events, said = random_case(seed)
    versions = oracle.corrected(np.random.default_rng(seed), events)
    expected, rows, told = oracle.compute(ALL, versions, said), oracle.plain(versions), oracle.plain(said)
    order = delivered(seed, rows)
    take_in(state, order[: len(order) // 2])
    early = [one for one in told if state.time_of(one["id"]) is not None]
    tell(state, early)
    take_in(state, order[len(order) // 2 :])
    tell(state, [one for one in told if one not in early])
    return answers(state, asking(rows, expected)), expected


def interrupted(state: Any, events: pa.Table, said: pa.Table, seed: int) -> list[list[float]]:
    """What a state answers to events and labels where others, some a year ahead, come in between and are taken back."""
    random, rows, told, found = np.random.default_rng(seed), oracle.plain(events), oracle.plain(said), []
    for number, at in enumerate(random.permutation(len(rows)), start=1):
        for refused in random.choice(len(rows), 2):
            time = rows[refused]["time"] + int(random.choice([0, oracle.DAY, 400 * oracle.DAY]))
            state.observe({**rows[refused], "id": 10_000 + number, "time": time, "known_time": time})
            state.take_back()
        found.append(state.observe(rows[at]))
        state.observe(rows[at])
        state.take_back()  # what was there before stays
        tell(state, [one for one in told if one["id"] == rows[at]["id"]])
    return found


def group(state: OnlineState, rows: list[Row], random: np.random.Generator, first_id: int) -> list[Row]:
    """Other events, days before and after, as many as may be placed together now."""
    found = []
    for identity, at in enumerate(random.integers(len(rows), size=6), start=first_id):
        time = rows[at]["time"] + int(random.integers(-9, 10)) * oracle.DAY
        found.append({**rows[at], "id": identity, "time": time, "known_time": time})
    return [one for one in found if state.near(one)]


def uninterrupted(features: FeatureSet, events: pa.Table, said: pa.Table, seed: int) -> tuple[Any, list[list[float]]]:
    """The same where nothing comes in between."""
    state, rows, told, found = OnlineState(features), oracle.plain(events), oracle.plain(said), []
    random = np.random.default_rng(seed)
    for at in random.permutation(len(rows)):
        found.append(state.observe(rows[at]))
        tell(state, [one for one in told if one["id"] == rows[at]["id"]])
    return state, found


class TestTakingBack:
    @pytest.mark.parametrize("seed", range(12))
    def test_what_is_taken_back_has_never_been_there(self, seed: int) -> None:
        events, said = random_case(seed)
        state = OnlineState(ALL)
        found = interrupted(state, events, said, seed)
        expected, answered = uninterrupted(ALL, events, said, seed)
        assert found == answered
        assert (state.clock, state._histories, state._labels) == (
            expected.clock, expected._histories, expected._labels,
        )  # fmt: skip
        assert len(state) == len(expected) and list(state._arrival) == list(expected._arrival)

    @pytest.mark.parametrize("seed", range(12))
    def test_a_group_that_is_taken_back_has_never_been_there(self, seed: int) -> None:
        events, said = random_case(seed, 60)
        state, random, found = OnlineState(ALL), np.random.default_rng(seed), list[list[float]]()
        rows, told, taken = oracle.plain(events), oracle.plain(said), 0
        for number, at in enumerate(random.permutation(len(rows))):
            together = group(state, rows, random, 10_000 + 10 * number)
            for place, one in enumerate(together):
                taken += state.taken(one, more=place > 0) is not None
            if together:
                state.take_back()
            found.append(state.observe(rows[at]))
            tell(state, [one for one in told if one["id"] == rows[at]["id"]])
        expected, answered = uninterrupted(ALL, events, said, seed)
        assert taken > len(rows)
        assert found == answered
        assert (state.clock, state._histories) == (expected.clock, expected._histories)

    def test_its_number_is_not_given_again(self) -> None:
        state = OnlineState(SMALL)
        state.placed(event(1, 0))
        state.take_back()
        assert state.placed(event(2, 0))[0] == (2, 2)


class TestBruteForce:
    @pytest.mark.parametrize("seed", range(40))
    def test_every_event_gets_its_numbers_whatever_the_order_of_events_and_labels(self, seed: int) -> None:
        events, said = random_case(seed)
        expected = oracle.compute(ALL, events, said)
        state, rows, random = OnlineState(ALL), oracle.plain(events), np.random.default_rng(seed)
        for at in random.permutation(len(rows)):
            state.observe(rows[at])
        tell(state, [oracle.plain(said)[at] for at in _shuffled(random, said)])
        assert answers(state, asking(rows, expected)) == expected

    @pytest.mark.parametrize("seed", range(40))
    def test_corrections_and_deletions_may_come_in_any_order_and_between_labels(self, seed: int) -> None:
        found, expected = corrected_in_halves(OnlineState(ALL), seed)
        assert found == expected

    @pytest.mark.parametrize("seed", range(12))
    def test_what_is_asked_for_in_between_is_answered_from_what_has_come(self, seed: int) -> None:
        events, said = random_case(seed, 40)
        rows, told, state = oracle.plain(events), oracle.plain(said), OnlineState(ALL)
        for number, at in enumerate(np.random.default_rng(seed).permutation(len(rows)), start=1):
            arrive(state, rows[at], told)
            if number % 5 == 0:
                come = events.filter(pc.is_in(events["id"], pa.array(sorted(state._events), pa.int64())))
                expected = oracle.compute(ALL, come, said)
                assert answers(state, [rows[at]]) == {rows[at]["id"]: expected[rows[at]["id"]]}

    @pytest.mark.parametrize("seed", range(6))
    def test_in_a_long_stream_what_is_late_by_up_to_the_horizon_gets_its_numbers(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        events = oracle.random_events(random, 250, days=60)
        said = oracle.random_labels(random, events)
        expected, told = oracle.compute(ALL, events, said), oracle.plain(said)
        rows = sorted(oracle.plain(events), key=lambda row: row["time"] + int(random.integers(0, ALL.horizon_us + 1)))
        state = OnlineState(ALL)
        for row in rows:
            assert row["time"] >= state.clock - ALL.horizon_us
            arrive(state, row, told)
        late = [row for row in rows if row["time"] >= state.clock - ALL.horizon_us]
        assert answers(state, late) == {row["id"]: expected[row["id"]] for row in late}
        assert len(late) < len(rows) / 4
        assert len(state) < len(rows) / 2


class TestRestart:
    """A state that is loaded from tables is the state that observed what they hold."""

    @pytest.mark.parametrize("seed", range(20))
    def test_loaded_and_observed_one_by_one_are_equal_and_stay_so(self, seed: int) -> None:
        events, said = random_case(seed)
        rows, told = oracle.plain(events), oracle.plain(said)
        loaded, observed = OnlineState(ALL), OnlineState(ALL)
        loaded.load(events, said.take(np.random.default_rng(seed).permutation(len(said))))
        for row in rows:
            observed.observe(row)
        tell(observed, told)
        assert (loaded._histories, loaded._events, loaded.clock) == (
            observed._histories,
            observed._events,
            observed.clock,
        )
        assert list(loaded._arrival) == list(observed._arrival)
        assert answers(loaded, rows) == answers(observed, rows) == oracle.compute(ALL, events, said)
        versions = oracle.plain(oracle.corrected(np.random.default_rng(seed), events))
        more = [one for one in delivered(seed, versions) if one["known_time"] > observed._events[one["id"]][1]]
        for state in (loaded, observed):
            take_in(state, more)
        assert loaded._histories == observed._histories
        assert answers(loaded, rows) == answers(observed, rows)

    @pytest.mark.parametrize("seed", range(20))
    def test_history_then_single_events_give_the_numbers_of_all_of_them(self, seed: int) -> None:
        events, said = random_case(seed)
        expected, state = oracle.compute(ALL, events, said), OnlineState(ALL)
        half = len(events) // 2
        state.load(events.slice(0, half), said)
        rows, told = oracle.plain(events), oracle.plain(said)
        for row in rows[half:]:
            # a label cannot be placed before its event: it is told when the event has come
            arrive(state, row, told)
        assert answers(state, rows) == expected

    def test_an_empty_history_is_a_fresh_state(self) -> None:
        events, said = random_case(1)
        state = OnlineState(ALL)
        state.load(events.slice(0, 0), said)
        assert (len(state), state.clock) == (0, 0)
        assert answers(state, oracle.plain(events.slice(0, 1))) == oracle.compute(
            ALL, events.slice(0, 1), said.slice(0, 0)
        )


def test_entities_may_be_renamed() -> None:
    for seed in range(5):
        events, said = random_case(seed)
        renamed = events.set_column(3, "customer", pc.subtract(10**15, events["customer"]))
        renamed = renamed.set_column(4, "shop", pc.utf8_reverse(events["shop"]))
        states = [OnlineState(ALL), OnlineState(ALL)]
        for state, table in zip(states, (events, renamed), strict=True):
            for row in oracle.plain(table):
                arrive(state, row, oracle.plain(said))
        first, second = (answers(*pair) for pair in zip(states, map(oracle.plain, (events, renamed)), strict=True))
        assert first == second


def test_an_unknown_event_is_said_to_be_unknown() -> None:
    state = OnlineState(SMALL)
    assert not state.label(7, True, 0)
    assert not state.correct(7, event(7, 0), 0)
    assert state.time_of(7) is None


def test_a_repeated_event_is_not_counted_twice() -> None:
    events, said = random_case(3, 50)
    state = OnlineState(ALL)
    state.load(events, said)
    last = oracle.plain(events)[-1]
    once = state.observe(last)
    assert state.observe(last) == once
    assert len(state) == events.num_rows


def test_a_late_label_changes_later_features_only() -> None:
    state = OnlineState(SMALL)
    first = {"id": 1, "time": 0, "known_time": 0, "customer": 5, "amount": 10}
    state.observe(first)
    assert state.label(1, True, oracle.DAY // 4)
    rate = SMALL.names.index("before_risk_1d")
    early = state.observe({**first, "id": 2, "time": oracle.DAY // 8})
    late = state.observe({**first, "id": 3, "time": oracle.DAY // 2})
    assert (early[rate], late[rate]) == (0.0, 0.5)


def test_what_is_beyond_twice_the_horizon_is_forgotten() -> None:
    state = OnlineState(SMALL)
    for day in range(40):
        state.observe({"id": day, "time": day * oracle.DAY, "known_time": day * oracle.DAY, "customer": 1, "amount": 1})
    assert len(state) == SMALL.memory_us // oracle.DAY + 1 == 11


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("d", value) for value in values]


def _shuffled(random: np.random.Generator, said: pa.Table) -> list[int]:
    """An order of labels in which those of one id that are known at once keep theirs."""
    at: dict[tuple[int, int], float] = {}
    keys = list(zip(said["id"].to_pylist(), oracle.micros(said["known_time"]).tolist(), strict=True))
    for key in keys:
        at.setdefault(key, float(random.random()))
    return sorted(range(len(keys)), key=lambda row: (at[keys[row]], row))


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


def offline_of(row: Row, rows: list[Row], said: pa.Table, clock: int) -> list[float]:
    """The offline numbers of one event: all of them if it lies within the horizon, else of what is remembered."""
    oldest = clock - SMALL.memory_us
    if row["time"] < oldest:
        rows, said = [row], said.slice(0, 0)
    elif row["time"] < clock - SMALL.horizon_us:
        rows = [one for one in rows if one["time"] >= oldest]
    table = pa.Table.from_pylist(rows, pa.schema({**{n: pa.int64() for n in row}, "time": TIME, "known_time": TIME}))
    found = columns_of(SMALL, table, said)
    return [float(found[name][rows.index(row)]) for name in SMALL.names]


class TestParity:
    @settings(deadline=None, max_examples=60)
    @given(STREAMS, st.booleans(), st.floats(0, 1))
    def test_any_cut_of_any_stream_gives_the_offline_bits(self, stream: list[Any], texts: bool, share: float) -> None:
        events, said = facts(stream, (lambda number: f"{number:03}") if texts else int)
        expected, told = columns_of(SMALL, events, said), oracle.plain(said)
        state, cut = OnlineState(SMALL), int(share * events.num_rows)
        state.load(events.slice(0, cut), said)
        for at, row in enumerate(oracle.plain(events)[cut:], start=cut):
            arrive(state, row, told)
            assert bits(state.observe(row)) == bits([expected[name][at] for name in SMALL.names])

    @pytest.mark.parametrize("seed", range(10))
    def test_events_that_arrive_when_they_are_known_see_what_offline_says(self, seed: int) -> None:
        events, said = random_case(seed)
        expected = columns_of(ALL, events, said)
        state, rows, told = OnlineState(ALL), oracle.plain(events), oracle.plain(said)
        for at in sorted(range(len(rows)), key=lambda at: (rows[at]["known_time"], rows[at]["time"], rows[at]["id"])):
            arrive(state, rows[at], told)
            assert state.observe(rows[at]) == [expected[name][at] for name in ALL.names]

    @settings(max_examples=60)
    @given(STREAMS, st.lists(st.integers(0, 24), min_size=25, max_size=25))
    def test_whatever_comes_late_gets_the_offline_bits_when_it_comes(self, stream: list[Any], late: list[int]) -> None:
        events, said = facts(stream, int)
        rows, told, state = oracle.plain(events), oracle.plain(said), OnlineState(SMALL)
        for row in rows:
            row["known_time"] += late[row["id"]] * DAY_US // 2
        rows.sort(key=lambda row: (row["known_time"], row["time"], row["id"]))
        for number, row in enumerate(rows, start=1):
            arrive(state, row, told)
            remembered = rows if row["time"] >= state.clock - SMALL.horizon_us else rows[:number]
            assert bits(state.observe(row)) == bits(offline_of(row, remembered, said, state.clock))

    @settings(max_examples=60)
    @given(STREAMS, st.randoms(use_true_random=False))
    def test_any_order_of_arrival_ends_in_the_same_bits(self, stream: list[Any], random: Any) -> None:
        events, said = facts([(3 * time, *rest) for time, *rest in stream], int)  # up to 18 days: some are forgotten
        rows, told, state = oracle.plain(events), oracle.plain(said), OnlineState(SMALL)
        for row in random.sample(rows, len(rows)):
            arrive(state, row, told)
        for row in random.sample(rows, len(rows)):
            assert bits(state.observe(row)) == bits(offline_of(row, rows, said, state.clock))

    @pytest.mark.parametrize("sweep", [1, 3, 10**9])
    def test_when_memory_is_swept_changes_no_number(self, sweep: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(online, "SWEEP", sweep)
        random = np.random.default_rng(0)
        rows = [event(number, number / 4, int(random.integers(3)), number % 7) for number in range(300)]
        table = pa.Table.from_pylist(rows)
        for name in ("time", "known_time"):
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(TIME))
        expected = columns_of(SMALL, table, labels())
        state = OnlineState(SMALL)
        for at, row in enumerate(rows):
            assert state.observe(row) == [expected[name][at] for name in SMALL.names]
        held = sum(len(history.time) for history in state._histories[0].values())
        assert held < 60 if sweep < 10 else held > 100

    def test_two_entities_and_the_row_come_together_in_model_order(self) -> None:
        windows = {"window_us": 3 * DAY_US}
        features = FeatureSet(
            (
                Feature("shop_count", "count", entity=("shop",), delay_us=DAY_US, **windows),
                Feature("amount", "column", "amount"),
                Feature("card_sum", "sum", "amount", entity=CARD, current_row=True, **windows),
                Feature("risk", "known_positive_rate", entity=("shop",), **windows),
                Feature("weekend", "weekend"),
            ),
            "id",
            "time",
            "known_time",
        )
        events, said = random_case(4, 80)
        expected, state = columns_of(features, events, said), OnlineState(features)
        state.load(events, said)
        for at, row in enumerate(oracle.plain(events)):
            assert state.observe(row) == [expected[name][at] for name in features.names]

    def test_a_model_of_rows_alone_needs_no_history_and_keeps_none_for_long(self) -> None:
        features = dataclasses.replace(SMALL, features=(Feature("amount", "column", "amount"),))
        state = OnlineState(features)
        assert [state.observe(event(number, number, amount=number)) for number in range(9)] == [[n] for n in range(9)]
        assert len(state) == 1
