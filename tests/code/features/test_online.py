"""Online and offline features are equal to the last bit."""

import pyarrow as pa
import pytest

from tests.code.features import oracle
from workbench.features import offline
from workbench.features.labels import PositiveIntervals
from workbench.features.online import OnlineState

FEATURES = oracle.feature_set()


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


def test_what_is_beyond_the_horizon_is_forgotten() -> None:
    state = OnlineState(FEATURES)
    for day in range(40):
        state.observe({"id": day, "time": day * oracle.DAY, "known_time": day * oracle.DAY, "customer": 1, "amount": 1})
    assert len(state) == FEATURES.horizon_us // oracle.DAY + 1
