"""What one event contributes is what its row contributes."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code.features import oracle
from workbench.features.definitions import Feature
from workbench.features.measures import Measure
from workbench.features.where import Condition

WHERE = (Condition("amount", ">", 0), Condition("channel", "in", ("web", "app")))
TYPES = {"amount": pa.int64(), "speed": pa.float64(), "channel": pa.string()}
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2),
            "speed": st.none() | st.floats(allow_nan=False),
            "channel": st.none() | st.sampled_from(["web", "app", "other"]),
        }
    ),
    max_size=10,
)
MEASURES = [
    Measure(what, column, where, zero)
    for column in (None, "amount", "speed", "channel")
    for what in (("count", "value") if column != "amount" else ("count", "value", "sum", "square"))
    for where in ((), WHERE)
    for zero in ((False, True) if column in ("amount", "speed") else (False,))
]


def table(events: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([event[name] for event in events], kind) for name, kind in TYPES.items()})


@settings(deadline=None)
@given(EVENTS)
def test_one_event_contributes_what_its_row_does(events: list[dict[str, Any]]) -> None:
    for measure in MEASURES:
        assert measure.many(table(events)) == [measure.one(event) for event in events], measure


@pytest.mark.parametrize(
    ("measure", "contributed"),
    [
        (Measure("count"), [1, 1, 1, 1]),
        (Measure("count", where=WHERE), [1, 0, 0, 0]),
        (Measure("count", "amount"), [1, 0, 1, 1]),
        (Measure("count", "amount", nulls_count=True), [1, 1, 1, 1]),
        (Measure("sum", "amount"), [3, 0, -4, 5]),
        (Measure("square", "amount"), [9, 0, 16, 25]),
        (Measure("value", "amount"), [3, None, -4, 5]),
        (Measure("value", "amount", nulls_count=True), [3, 0, -4, 5]),
        (Measure("value", "amount", WHERE, nulls_count=True), [3, None, None, None]),
        (Measure("value", where=WHERE), [True, None, None, None]),
        (Measure("value", "channel"), ["web", "app", None, "other"]),
    ],
)
def test_what_is_contributed(measure: Measure, contributed: list[Any]) -> None:
    said = [(3, "web"), (None, "app"), (-4, None), (5, "other")]
    events = [{"amount": amount, "speed": None, "channel": channel} for amount, channel in said]
    assert measure.many(table(events)) == [measure.one(event) for event in events] == contributed


def test_an_absent_column_is_a_null() -> None:
    assert [Measure(what, "amount").one({}) for what in ("count", "sum", "value")] == [0, 0, None]
    assert Measure("sum", "amount", nulls_count=True).one({}) == 0


def test_a_measure_is_what_its_feature_says() -> None:
    feature = Feature("f", "sum", "amount", where=WHERE, nulls_count=True)
    assert Measure.of("square", feature) == Measure("square", "amount", WHERE, True)


def test_squares_of_the_widest_values_are_exact() -> None:
    events = oracle.times([0])
    one = pa.table({"amount": pa.array([2**63 - 1]), "time": events})
    assert Measure("square", "amount").many(one) == [(2**63 - 1) ** 2]
