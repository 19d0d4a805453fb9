"""A filter means the same for one event as for a column; a null meets nothing; a fault says what to write instead."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import ColumnConfig
from workbench.features.where import Condition, mask, meets, parse

COLUMNS = {
    "at": ColumnConfig("timestamp"),
    "amount": ColumnConfig("money"),
    "points": ColumnConfig("integer"),
    "rate": ColumnConfig("number"),
    "channel": ColumnConfig("string"),
}
TYPES = {"amount": pa.int64(), "points": pa.int64(), "rate": pa.float64(), "channel": pa.string()}
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 0.5, 1.0])
TEXTS = st.sampled_from(["web", "app", "Web", "", "a b"])
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.none() | WHOLE,
            "points": st.none() | st.integers(-3, 3),
            "rate": st.none() | NUMBERS | st.floats(),
            "channel": st.none() | TEXTS,
        }
    ),
    max_size=12,
)
ORDERED = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def compared(column: str, values: Any, operators: Any) -> Any:
    one = st.builds(Condition, st.just(column), operators, values)
    several = st.builds(Condition, st.just(column), st.just("in"), st.lists(values, min_size=1, max_size=3).map(tuple))
    return one | several


CONDITIONS = st.lists(
    compared("amount", WHOLE, ORDERED)
    | compared("points", st.integers(-3, 3), ORDERED)
    | compared("rate", NUMBERS, ORDERED)
    | compared("channel", TEXTS, st.sampled_from(["==", "!="])),
    max_size=3,
).map(tuple)


def table(events: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([event[name] for event in events], kind) for name, kind in TYPES.items()})


@settings(deadline=None, max_examples=400)
@given(CONDITIONS, EVENTS)
def test_one_event_meets_what_its_row_meets(conditions: tuple[Condition, ...], events: list[dict[str, Any]]) -> None:
    assert mask(conditions, table(events)).tolist() == [meets(conditions, event) for event in events]


@pytest.mark.parametrize("text", ["amount > 0", "amount != 0", "amount <= 0", "channel == web", "channel != web",
                                  "channel in (web, app)", "rate in (0, 1)"])  # fmt: skip
def test_a_null_or_absent_value_meets_no_condition(text: str) -> None:
    nothing = dict.fromkeys(TYPES)
    assert not meets(parse(text, COLUMNS), nothing)
    assert not meets(parse(text, COLUMNS), {})
    assert mask(parse(text, COLUMNS), table([nothing])).tolist() == [False]


def test_without_conditions_everything_is_met() -> None:
    assert parse(None, COLUMNS) == parse("", COLUMNS) == ()
    assert meets((), {})
    assert mask((), table([dict.fromkeys(TYPES)] * 2)).tolist() == [True, True]


def test_all_conditions_must_be_met() -> None:
    both = parse("amount > 5 and channel == web", COLUMNS)
    found = [meets(both, {"amount": amount, "channel": channel}) for amount in (5, 6) for channel in ("app", "web")]
    assert found == [False, False, False, True]


def test_chunks_and_encodings_of_a_column_do_not_matter() -> None:
    rows = table([{"amount": n, "points": n, "rate": n / 2, "channel": ("web", "app", None)[n % 3]} for n in range(9)])
    cut = pa.concat_tables([rows.slice(0, 4), rows.slice(4, 0), rows.slice(4)])
    for text in ("amount > 3", "channel == web", "channel in (web, app)", "rate >= 1.5 and points != 7"):
        assert mask(parse(text, COLUMNS), cut).tolist() == mask(parse(text, COLUMNS), rows).tolist()


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("amount > 22000", Condition("amount", ">", 22000)),
        ("amount>=-5", Condition("amount", ">=", -5)),
        ("  rate   <  0.5 ", Condition("rate", "<", 0.5)),
        ("points in (1, 2,3)", Condition("points", "in", (1, 2, 3))),
        ("points in(1)", Condition("points", "in", (1,))),
        ("channel == 'web'", Condition("channel", "==", "web")),
        ('channel in (web, "app")', Condition("channel", "in", ("web", "app"))),
        ("channel == Andes band", Condition("channel", "==", "Andes band")),
    ],
)
def test_a_condition_is_a_column_a_comparison_and_a_constant_of_the_columns_type(
    text: str, condition: Condition
) -> None:
    assert parse(text, COLUMNS) == (condition,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("amount", "is no condition at 'amount'. Write COLUMN > NUMBER, or COLUMN in (A, B)"),
        ("amount > 1 and", "is no condition at ''. Write COLUMN > NUMBER, or COLUMN in (A, B)"),
        ("amount = 1", "is no condition at 'amount = 1'. Write COLUMN > NUMBER, or COLUMN in (A, B)"),
        ("amount > 1 or amount < 0", "compares with '1 or amount < 0', which is no money"),
        ("price > 1", "names price, which is no column of the data. Use one of: at, amount, points, rate, channel"),
        ("at > 5", "cannot compare at, a timestamp, by >. Use numbers, or == != in for texts"),
        ("channel < web", "cannot compare channel, a string, by <. Use numbers, or == != in for texts"),
        ("points in 1, 2", "needs a list in brackets at 'points in 1, 2'. Write points in (A, B)"),
        ("points in ()", "needs a list in brackets at 'points in ()'. Write points in (A, B)"),
        ("amount > 1.5", "compares with '1.5', which is no money"),
        ("points in (1, x)", "compares with 'x', which is no integer"),
        ("rate > many", "compares with 'many', which is no number"),
        ("rate > nan", "compares with 'nan', which is no number"),
        ("amount > 9223372036854775808", "compares with '9223372036854775808', which is no money"),
    ],
)
def test_a_fault_says_what_is_wrong_and_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text, COLUMNS)
    assert str(error.value) == said
