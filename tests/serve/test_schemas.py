"""The strict types of requests, as the YAML of each data set makes them."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import schemas
from workbench.config import ColumnConfig, DataConfig, LabelConfig
from workloads import door

DATA = {name: door.composed([f"experiment={name}"]).data for name in ("payments", "credit")}
COLUMNS = [(name, column) for name, data in DATA.items() for column in data.columns]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# JSON texts that no column of a type takes
WRONG = {
    "integer": ['"1"', "1.0", "1.5", "true", "null", "[1]", "{}", "NaN", "Infinity", ""],
    "money": ['"1"', "1.0", "12.34", "true", "null", "[1]", "{}", "NaN", "-Infinity", ""],
    "number": ['"1"', "true", "null", "[1]", "{}", "NaN", "Infinity", "1e400", ""],
    "string": ["1", "1.5", "true", "null", '["a"]', "{}", ""],
    "timestamp": ['"2018-08-15T09:00:00"', '"2018-08-15"', '"now"', '""', "1534323600", "null", "true", "{}", ""],
}


def decoded(data: DataConfig, **changed: Any) -> Any:
    """The example with some values changed, as the endpoint reads it."""
    return decoded_text(data, {name: json.dumps(value) for name, value in changed.items()})


def decoded_text(data: DataConfig, changed: dict[str, str]) -> Any:
    texts = {name: json.dumps(value) for name, value in schemas.example(data).items()} | changed
    members = ",".join(f'"{name}":{text}' for name, text in texts.items())
    return msgspec.json.decode("{" + members + "}", type=schemas.event_type(data))


def small(**columns: ColumnConfig) -> DataConfig:
    """A data set with an id, a time, and these columns."""
    own = {
        "id": ColumnConfig("string", example="a1"),
        "time": ColumnConfig("timestamp", example="2020-01-01T00:00:00Z"),
    }
    return DataConfig(
        name="small", id="id", event_time="time", columns={**own, **columns}, label=LabelConfig(delay_days=1)
    )


@pytest.mark.parametrize("name", DATA)
def test_the_example_is_accepted_and_has_every_column(name: str) -> None:
    event = decoded(DATA[name])
    assert set(msgspec.structs.asdict(event)) == set(DATA[name].columns) == set(schemas.example(DATA[name]))


def test_both_data_sets_are_as_wide_as_published() -> None:
    assert {name: len(data.columns) for name, data in DATA.items()} == {"payments": 5, "credit": 24}


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_column_takes_no_other_type(name: str, column: str) -> None:
    for text in WRONG[DATA[name].columns[column].type]:
        with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
            decoded_text(DATA[name], {column: text})


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_no_column_may_be_left_out(name: str, column: str) -> None:
    body = {key: value for key, value in schemas.example(DATA[name]).items() if key != column}
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{column}`"):
        msgspec.json.decode(json.dumps(body), type=schemas.event_type(DATA[name]))


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("extra", ["known_time", "label", "Class", "tx_fraud", "customer", "", "ID"])
def test_what_the_contract_does_not_declare_is_refused(name: str, extra: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        decoded(DATA[name], **{extra: 0})


BOUNDED = [(n, c) for n, c in COLUMNS if DATA[n].columns[c].minimum is not None]


@pytest.mark.parametrize(("name", "column"), BOUNDED)
def test_bounds_are_taken_and_what_lies_beyond_is_refused(name: str, column: str) -> None:
    config = DATA[name].columns[column]
    for bound, beyond in ((config.minimum, -1), (config.maximum, 1)):
        if bound is not None:
            at = bound if config.type == "number" else int(bound)
            assert getattr(decoded(DATA[name], **{column: at}), column) == bound
            with pytest.raises(msgspec.ValidationError, match=r"Expected `(int|float)` [<>]= "):
                decoded(DATA[name], **{column: at + beyond})


def test_a_broken_bound_of_whole_numbers_is_that_of_the_contract() -> None:
    data = small(income=ColumnConfig("integer", minimum=0.5, maximum=2.5))
    assert [decoded(data, income=one).income for one in (1, 2)] == [1, 2]
    for beyond in (0, 3):
        with pytest.raises(msgspec.ValidationError):
            decoded(data, income=beyond)


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, c in COLUMNS if DATA[n].columns[c].categories])
def test_every_category_is_taken_and_no_other(name: str, column: str) -> None:
    categories = DATA[name].columns[column].categories or []
    assert [getattr(decoded(DATA[name], **{column: one}), column) for one in categories] == categories
    for other in ("", categories[0].swapcase(), f"{categories[0]} ", "SECRET"):
        with pytest.raises(msgspec.ValidationError, match="Invalid enum value"):
            decoded(DATA[name], **{column: other})


def test_a_number_may_be_written_whole() -> None:
    assert decoded(DATA["credit"], int_rate=13).int_rate == 13.0


def test_a_column_with_nulls_may_be_null_or_absent() -> None:
    data = small(income=ColumnConfig("number", nulls=True, minimum=0), grade=ColumnConfig("string", nulls=True))
    assert (decoded(data).income, decoded(data, income=None, grade=None).grade) == (None, None)
    assert decoded(data, income=1.5, grade="a").income == 1.5
    with pytest.raises(msgspec.ValidationError, match=">= 0"):
        decoded(data, income=-1)


def test_a_column_with_nulls_may_stand_before_one_without() -> None:
    data = small(income=ColumnConfig("number", nulls=True), age=ColumnConfig("integer", example="30"))
    assert decoded(data).age == 30


def test_when_an_event_became_known_travels_in_the_data_because_features_depend_on_it() -> None:
    data = small(seen=ColumnConfig("timestamp", example="2020-01-02T00:00:00Z"))
    data.known_time = "seen"
    assert decoded(data).seen == dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    body = {key: value for key, value in schemas.example(data).items() if key != "seen"}
    with pytest.raises(msgspec.ValidationError, match="missing required field `seen`"):
        msgspec.json.decode(json.dumps(body), type=schemas.event_type(data))


def test_a_free_text_has_at_most_200_characters() -> None:
    data = small(merchant=ColumnConfig("string", example="m"))
    assert decoded(data, merchant="\u00e4" * 200).merchant == "\u00e4" * 200
    with pytest.raises(msgspec.ValidationError, match="length <= 200"):
        decoded(data, merchant="m" * 201)


@pytest.mark.parametrize(
    "text",
    ["2018-08-15T09:12:41Z", "2018-08-15T11:12:41+02:00", "2018-08-15t00:12:41.000000-09:00", "2018-08-15T09:12:41z"],
)
def test_the_same_instant_is_read_from_every_zone(text: str) -> None:
    event = decoded(DATA["payments"], event_time=text)
    assert schemas.micros(event.event_time) == 1_534_324_361_000_000


@given(
    st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30)),
    st.integers(-1439, 1439),
)
def test_micros_are_exact_in_every_zone_and_year(time: dt.datetime, offset_minutes: int) -> None:
    moment = time.replace(tzinfo=dt.timezone(dt.timedelta(minutes=offset_minutes)))
    assert schemas.micros(moment) == (moment - EPOCH) // dt.timedelta(microseconds=1)


def feedback(data: DataConfig, count: int = 1, **changed: Any) -> Any:
    label = {data.id: schemas.example(data)[data.id], "label": 1, "known_time": "2018-08-22T00:00:00Z", **changed}
    return msgspec.json.decode(json.dumps({"labels": [label] * count}), type=schemas.feedback_type(data))


@pytest.mark.parametrize("name", DATA)
def test_feedback_names_events_as_the_data_set_does(name: str) -> None:
    (label,) = feedback(DATA[name], label=0, scenario="late").labels
    assert label.__struct_fields__ == (DATA[name].id, "label", "known_time", "scenario")
    assert (label.label, label.scenario, feedback(DATA[name]).labels[0].scenario) == (0, "late", None)


def test_feedback_takes_a_thousand_labels_and_refuses_one_more() -> None:
    assert len(feedback(DATA["payments"], schemas.PER_CALL).labels) == 1000
    for count in (0, schemas.PER_CALL + 1):
        with pytest.raises(msgspec.ValidationError, match="`array` of length"):
            feedback(DATA["payments"], count)


LABELS: list[dict[str, Any]] = [
    *({"label": wrong} for wrong in (2, -1, True, "1", None, 1.0)),
    *({"known_time": wrong} for wrong in ("2018-08-22T00:00:00", "2018-08-22", None, 0)),
    *({"transaction_id": wrong} for wrong in ("1", -1, None, 1.0)),
    {"scenario": "s" * 101}, {"scenario": 1}, {"score": 1},
]  # fmt: skip


@pytest.mark.parametrize("changed", LABELS)
def test_feedback_is_as_strict_as_an_event(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        feedback(DATA["payments"], **changed)
