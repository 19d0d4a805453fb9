"""What was served is compared with what is computed again, bit for bit; and the comparison can fail."""

import dataclasses
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.code.features import oracle
from workbench.config import FeatureConfig, FeaturesConfig, ViewConfig
from workbench.features import late, parity
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.online import OnlineState
from workbench.feedback import prediction_log

NAMES = ("count", "mean")
SETS = {"aggregates": oracle.feature_set(), "sequence": oracle.with_sequence(["customer"])}
SERVED = np.array([[1.0, 0.1], [2.0, 0.0], [3.0, 1 / 3]])


def served_log(seed: int, history: int, served: str = "aggregates") -> tuple[pa.Table, pa.Table, pa.Table]:
    """Events before a log, the log of what an online state served of those behind it, and all labels."""
    random = np.random.default_rng(seed)
    events = oracle.random_events(random, 80).sort_by([("known_time", "ascending"), ("id", "ascending")])
    tokens = events["customer"].cast(pa.string())  # the endpoint knows entities by tokens
    events = events.set_column(events.column_names.index("customer"), "customer", tokens)
    labels = oracle.random_labels(random, events)
    features, rows = SETS[served], oracle.plain(events)
    state = OnlineState(features)
    state.load(events.slice(0, history), labels)
    for one in rows[history:]:  # all that an event may see is there before it is asked
        state.observe(one)
    for one in oracle.plain(labels):
        state.label(one["id"], bool(one["label"]), one["known_time"])
    asked = []
    for one in rows[history:]:
        place, features = state.placed(one)
        asked.append({"id": one["id"], "event": json.dumps(one), "features": features, **place._asdict()})
    return events.slice(0, history), pa.Table.from_pylist(asked), labels


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("seed", range(4))
def test_a_log_that_the_online_state_served_agrees_to_the_last_bit(seed: int, kind: str) -> None:
    history, log, labels = served_log(seed, 30, kind)
    features = SETS[kind]
    asked = parity.events_of(log, oracle.DATA)
    found, overtaken = parity.recomputed(features, history, asked, PositiveIntervals.of(labels, "id"))
    assert not overtaken.any()
    served = np.array(log["features"].to_pylist())
    offline = np.stack([found[name] for name in features.names], axis=1)
    result = parity.compare(features.names, log["id"].to_pylist(), served, offline)
    assert (result.rows, result.cells, result.differing, result.control) == (50, served.size, 0, True)
    assert len(np.unique(served)) > 100, "there is something to compare"


def test_a_history_that_lacks_an_event_is_noticed() -> None:
    history, log, labels = served_log(0, 30)
    features, asked = oracle.feature_set(), parity.events_of(log, oracle.DATA)
    found, _ = parity.recomputed(features, history.slice(1), asked, PositiveIntervals.of(labels, "id"))
    offline = np.stack([found[name] for name in features.names], axis=1)
    result = parity.compare(features.names, log["id"].to_pylist(), np.array(log["features"].to_pylist()), offline)
    assert result.differing > 0
    assert set(result.by_feature) <= set(features.names)


def asked_in_any_order(state: Any, rows: list[Any], order: Any) -> pa.Table:
    """The log of a stream in which events overtake each other; every seventh is sent twice."""
    log = []
    for at in [*order[:40], *order[:40:7], *order[40:]]:
        place, features = state.placed(rows[at])
        told = {"id": str(rows[at]["id"]), "event": json.dumps(rows[at]), "features": features, "received_at": len(log)}
        log.append({**told, **place._asdict()})
    return prediction_log.first_answers(pa.Table.from_pylist(log))


class TestOrder:
    @pytest.mark.parametrize("kind", SETS)
    @pytest.mark.parametrize("seed", range(4))
    def test_events_that_overtake_each_other_agree_with_what_had_arrived(self, seed: int, kind: str) -> None:
        history, log, labels = served_log(seed, 30, kind)
        features, state = SETS[kind], OnlineState(SETS[kind])
        labels = labels.filter(pc.is_in(labels["id"], history["id"].combine_chunks()))
        state.load(history, labels)
        rows = [json.loads(text) for text in log["event"].to_pylist()]
        log = asked_in_any_order(state, rows, np.random.default_rng(seed).permutation(len(rows)))
        served, results = np.array(log["features"].to_pylist()), []
        everything = pa.array([len(rows)] * len(rows))
        for as_of in (log["as_of"], everything):
            asked = parity.events_of(log.set_column(log.column_names.index("as_of"), "as_of", as_of), oracle.DATA)
            found, overtaken = parity.recomputed(features, history, asked, PositiveIntervals.of(labels, "id"))
            offline = np.stack([found[name] for name in features.names], axis=1)
            results.append(parity.compare(features.names, log["id"].to_pylist(), served, offline, int(overtaken.sum())))
        assert (results[0].rows, results[0].differing) == (50, 0)
        differing = len({one["id"] for one in results[1].examples})
        assert results[1].overtaken == 0 < differing <= results[0].overtaken, "in training they see more"


def shortened(features: FeatureSet) -> FeatureSet:
    """The same with a horizon of a day or two, which events of a week exceed when they come in any order."""
    of = [
        dataclasses.replace(one, window_us=one.window_us // 5, delay_us=one.delay_us // 4) for one in features.features
    ]
    return dataclasses.replace(features, features=tuple(of))


class TestLate:
    @pytest.mark.parametrize("kind", SETS)
    @pytest.mark.parametrize("seed", range(3))
    def test_events_later_than_a_horizon_agree_with_what_was_remembered(
        self, seed: int, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        history, log, labels = served_log(seed, 20, kind)
        features = shortened(SETS[kind])
        state = OnlineState(features)
        known = labels.filter(pc.is_in(labels["id"], history["id"].combine_chunks()))
        state.load(history, known)
        rows = [json.loads(text) for text in log["event"].to_pylist()]
        log = asked_in_any_order(state, rows, np.random.default_rng(seed).permutation(len(rows)))
        served, asked = np.array(log["features"].to_pylist()), parity.events_of(log, oracle.DATA)

        def differing() -> int:
            found, _ = parity.recomputed(features, history, asked, PositiveIntervals.of(known, "id"))
            offline = np.stack([found[name] for name in features.names], axis=1)
            return parity.compare(features.names, log["id"].to_pylist(), served, offline).differing

        assert 5 < parity.late_rows(features, history, asked).sum() < 55
        assert differing() == 0
        monkeypatch.setattr(late, "is_late", lambda *_: np.zeros(log.num_rows, bool))
        assert differing() > 0, "in training they see more"

    def test_none_is_late_that_came_within_a_horizon(self) -> None:
        history, log, _ = served_log(0, 30)
        assert not parity.late_rows(SETS["aggregates"], history, parity.events_of(log, oracle.DATA)).any()


def test_no_event_is_late_where_no_feature_looks_back() -> None:
    _, log, _ = served_log(0, 0)
    asked = parity.events_of(log.take(np.arange(len(log))[::-1]), oracle.DATA)
    backwards = asked.set_column(asked.column_names.index("arrival"), "arrival", pa.array(range(len(log))))
    row = FeaturesConfig(views=[ViewConfig("row", features=[FeatureConfig("amount", "column", "amount")])])
    nothing = asked.drop_columns(parity.NUMBERS).slice(0, 0)
    assert not parity.late_rows(FeatureSet.of(row, oracle.DATA), nothing, backwards).any()


def test_other_events_that_came_one_by_one_are_seen_and_ask_for_nothing() -> None:
    history, log, labels = served_log(1, 30)
    features, asked = SETS["aggregates"], parity.events_of(log, oracle.DATA)
    whole, _ = parity.recomputed(features, history, asked, PositiveIntervals.of(labels, "id"))
    some, both = asked.slice(20), pa.concat_tables([asked, asked.slice(0, 0)])
    found, _ = parity.recomputed(features, history, some, PositiveIntervals.of(labels, "id"), others=both)
    for name, values in found.items():
        np.testing.assert_array_equal(values, whole[name][20:])


def test_an_event_of_the_history_that_is_asked_for_again_is_counted_once() -> None:
    history, log, labels = served_log(2, 30)
    features, asked = SETS["aggregates"], parity.events_of(log, oracle.DATA)
    both = pa.concat_tables([history, asked.select(history.column_names).slice(0, 25)])
    whole, _ = parity.recomputed(features, history, asked, PositiveIntervals.of(labels, "id"))
    found, _ = parity.recomputed(features, both, asked, PositiveIntervals.of(labels, "id"))
    np.testing.assert_equal(found, whole)


def test_of_nothing_nothing_is_shown() -> None:
    nothing = np.zeros((0, 2))
    empty = parity.compare(NAMES, [], nothing, nothing.copy())
    assert (empty.rows, empty.differing, empty.control) == (0, 0, False)


@pytest.mark.parametrize(
    ("changed", "holds"),
    [({}, True), ({"rows": 0}, False), ({"control": False}, False), ({"differing": 1}, False), ({"missing": 1}, False)],
)
def test_a_report_holds_that_compared_something_found_its_control_and_misses_nothing(
    changed: dict[str, Any], holds: bool
) -> None:
    assert parity.holds({"rows": 3, "control": True, "differing": 0, "missing": 0} | changed) == holds


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 1), (2, 1)])
def test_one_unit_in_the_last_place_is_a_difference(row: int, column: int) -> None:
    other = SERVED.copy()
    other[row, column] = np.nextafter(other[row, column], -np.inf)
    result = parity.compare(NAMES, ["a", "b", "c"], SERVED, other)
    assert (result.differing, result.by_feature) == (1, {NAMES[column]: 1})
    example: dict[str, Any] = {"id": "abc"[row], "feature": NAMES[column]}
    assert result.examples == [example | {"served": SERVED[row, column], "offline": other[row, column]}]


def test_equal_numbers_have_no_difference_and_a_control_that_is_found() -> None:
    result = parity.compare(NAMES, ["a", "b", "c"], SERVED, SERVED.copy())
    assert (result.differing, result.examples, result.control) == (0, [], True)


def test_zero_and_negative_zero_are_not_the_same_bits() -> None:
    assert parity.compare(NAMES, ["a"], np.array([[0.0, 1.0]]), np.array([[-0.0, 1.0]])).differing == 1
