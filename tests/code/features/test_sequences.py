"""A row's earlier events are shown as they were when they happened: what brute force finds, to the last bit."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code.features import oracle, samples
from tests.code.features.samples import TIME, columns_of, event, kernel, labels, wrong
from tests.code.features.test_online import STREAMS, answers, arrive, asking, bits, facts, random_case, tell
from workbench.config import FeatureConfig, FeaturesConfig, ViewConfig
from workbench.errors import InputError
from workbench.features.definitions import FeatureSet
from workbench.features.online import OnlineState
from workbench.features.sequences import Known

SETS = [
    oracle.with_sequence(["customer"]),
    oracle.with_sequence(["shop"], "2d", 5, "1d"),
    oracle.with_sequence(["customer", "shop"], "9d", 1, of=["now_count_36h", "late_risk_36h", "amount"]),
]


def small() -> FeatureSet:
    """The aggregates of one customer's last day, with the row itself and delayed, at the last two events of 2 days."""
    views = []
    for prefix, current, delay in (("now", True, "0d"), ("late", False, "1d")):
        count = FeatureConfig(f"{prefix}_count", "count")
        total = FeatureConfig(f"{prefix}_sum", "sum", "amount", nulls="zero")
        risk = FeatureConfig(f"{prefix}_risk", "known_positive_rate", empty=0)
        views.append(ViewConfig(prefix, ["customer"], ["1d"], delay, current, [count, total, risk]))
    views.append(ViewConfig("last", ["customer"], ["2d"], features=[FeatureConfig("last", "previous")], events=2))
    return FeatureSet.of(FeaturesConfig(views=views), samples.DATA)


SMALL = small()


@pytest.mark.parametrize("number", range(len(SETS)))
@pytest.mark.parametrize("seed", range(12))
def test_sequences_are_those_of_brute_force(seed: int, number: int) -> None:
    random, features = np.random.default_rng(seed), SETS[number]
    events = oracle.random_events(random, int(random.integers(1, 90)), wide=seed % 5 == 0)
    said = oracle.random_labels(random, events)
    expected = oracle.compute(features, events, said)
    assert wrong(kernel(features, events, said), expected) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_last_known_fact_before_a_place_is_found_however_many_are_late(seed: int) -> None:
    random = np.random.default_rng(seed)
    since = random.integers(0, 30, int(random.integers(0, 70)))
    known, end = Known(since), random.integers(0, len(since) + 1, 300)
    at = random.integers(-5, 30, 300)
    expected = [max([-1, *np.flatnonzero(since[:place] <= time)]) for place, time in zip(end, at, strict=True)]
    assert known.before(end, at).tolist() == expected


class TestOnline:
    @pytest.mark.parametrize("number", range(len(SETS)))
    @pytest.mark.parametrize("seed", range(6))
    def test_every_event_gets_its_numbers_whatever_the_order_of_events_and_labels(self, seed: int, number: int) -> None:
        features, (events, said) = SETS[number], random_case(seed)
        expected, state = oracle.compute(features, events, said), OnlineState(features)
        rows, told, random = oracle.plain(events), oracle.plain(said), np.random.default_rng(seed)
        for at in random.permutation(len(rows)):
            state.observe(rows[at])
            if random.random() < 0.3:  # what has been shown in between is shown anew where it must be
                state.observe(rows[at])
        tell(state, told, order=lambda one: (one["known_time"], one["recorded_at"]))
        assert answers(state, asking(rows, expected)) == expected

    @pytest.mark.parametrize("seed", range(6))
    def test_what_is_asked_in_between_is_answered_from_what_has_come(self, seed: int) -> None:
        events, said = random_case(seed, 40)
        rows, told, state = oracle.plain(events), oracle.plain(said), OnlineState(SETS[0])
        for number, at in enumerate(np.random.default_rng(seed).permutation(len(rows)), start=1):
            arrive(state, rows[at], told)
            if number % 5 == 0:
                come = events.filter(pc.is_in(events["id"], pa.array(sorted(state._events), pa.int64())))
                expected = oracle.compute(SETS[0], come, said)
                assert answers(state, [rows[at]]) == {rows[at]["id"]: expected[rows[at]["id"]]}

    @pytest.mark.parametrize("seed", range(6))
    def test_history_then_single_events_give_the_numbers_of_all_of_them(self, seed: int) -> None:
        events, said = random_case(seed)
        expected, state = oracle.compute(SETS[0], events, said), OnlineState(SETS[0])
        half = len(events) // 2
        state.load(events.slice(0, half), said)
        rows, told = oracle.plain(events), oracle.plain(said)
        for row in rows[half:]:
            arrive(state, row, told)
        assert answers(state, rows) == expected

    @pytest.mark.parametrize("seed", range(4))
    def test_in_a_long_stream_what_is_late_by_up_to_the_horizon_gets_its_numbers(self, seed: int) -> None:
        random, features = np.random.default_rng(seed), SETS[0]
        events = oracle.random_events(random, 220, days=90)
        said = oracle.random_labels(random, events)
        expected, told = oracle.compute(features, events, said), oracle.plain(said)
        delay = random.integers(0, features.horizon_us + 1, len(events)).tolist()
        rows = [row for _, row in sorted(zip(delay, oracle.plain(events), strict=True), key=_arrival)]
        state = OnlineState(features)
        for row in rows:
            arrive(state, row, told)
        late = [row for row in rows if row["time"] >= state.clock - features.horizon_us]
        assert answers(state, late) == {row["id"]: expected[row["id"]] for row in late}
        assert len(state) == len(state._asked) < len(rows) / 1.5
        assert state._bases.keys() <= state._events.keys()

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

    @settings(deadline=None, max_examples=60)
    @given(STREAMS, st.data())
    def test_in_any_order_each_answer_is_that_of_what_is_remembered(self, stream: list[Any], data: Any) -> None:
        events, _ = facts([(2 * time, *rest[:2], []) for time, *rest in stream], int)
        rows, state = data.draw(st.permutations(oracle.plain(events))), OnlineState(SMALL)
        for number, row in enumerate(rows):
            answer = state.observe(row)
            remembered = [one for one in rows[:number] if one["time"] >= state.clock - SMALL.memory_us]
            late = row["time"] < state.clock - SMALL.memory_us
            assert bits(answer) == bits(offline_of(row, [row] if late else [*remembered, row]))

    def test_what_comes_too_late_is_shown_no_more_than_is_remembered(self) -> None:
        state, column = OnlineState(SMALL), SMALL.names.index("late_count_1d_1_back")
        for number, day in enumerate((0, 1)):
            state.observe(event(number, day))
        assert state.observe(event(2, 2))[column] == 1
        state.observe(event(3, 9, customer=6))
        assert state.observe(event(4, 2.25))[column] == 1
        assert state.observe(event(5, 1.75))[column] == 0, "the event of day 0 is not remembered"

    def test_corrections_are_refused(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        with pytest.raises(InputError, match="corrections are not taken in"):
            state.correct(1, None, 0)


def _arrival(one: tuple[int, dict[str, Any]]) -> int:
    return int(one[1]["time"]) + one[0]


def offline_of(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[float]:
    schema = pa.schema({**{name: pa.int64() for name in row}, "time": TIME, "known_time": TIME})
    found = columns_of(SMALL, pa.Table.from_pylist(rows, schema), labels())
    return [float(found[name][rows.index(row)]) for name in SMALL.names]
