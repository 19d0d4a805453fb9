"""A row's own features are the same numbers for one event as for a column of them."""

import datetime as dt
import struct
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.features import offline
from workbench.features.definitions import DAY_US, Feature, FeatureSet
from workbench.features.rows import HOUR_US, row_function

patient = settings(deadline=None)  # a busy machine is no failure
CATEGORIES = ("A", "B", "long name", "")
FEATURES = FeatureSet(
    (
        Feature("minor", "column", "minor"),
        Feature("rate", "column", "rate", empty=-1.5),
        Feature("is_b", "one_hot", "grade", categories=("B",)),
        Feature("is_empty", "one_hot", "grade", categories=("",)),
        Feature("rank", "ordinal", "grade", categories=CATEGORIES),
        Feature("weekend", "weekend"),
        Feature("night", "night", last_hour=6),
        Feature("midnight", "night", last_hour=0),
        Feature("always", "night", last_hour=23),
        Feature("hour", "hour"),
        Feature("weekday", "weekday"),
    ),
    "id",
    "at",
    "known",
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
HOLIDAYS = ("1969-12-31", "2018-12-25", "2018-12-26")
CALENDAR = FeatureSet(
    tuple(
        Feature(f"{kind} {zone}", kind, zone=zone, holidays=HOLIDAYS if kind == "holiday" else ())
        for zone in ZONES
        for kind in ("hour", "weekday", "monthday", "weekend", "night", "holiday")
    ),
    "id",
    "at",
    "known",
)
CENTURIES = st.integers(-70 * 365 * DAY_US, 130 * 365 * DAY_US)  # 1900 to 2100
EVENTS = st.fixed_dictionaries(
    {
        "at": st.integers(-(10**17), 10**17),
        "minor": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
        "rate": st.one_of(st.none(), st.floats()),
        "grade": st.one_of(st.none(), st.sampled_from([*CATEGORIES, "Z", "a", "B "])),
    }
)


def columns(events: list[dict[str, Any]]) -> pa.Table:
    types = {"minor": pa.int64(), "rate": pa.float64(), "grade": pa.string()}
    table = {name: pa.array([event[name] for event in events], kind) for name, kind in types.items()}
    return pa.table({"at": pa.array([event["at"] for event in events]).cast(pa.timestamp("us", "UTC")), **table})


def of(event: dict[str, Any], features: FeatureSet = FEATURES) -> dict[str, float]:
    return {feature.name: row_function(feature, features)(event) for feature in features.features}


def at(*when: int) -> dict[str, Any]:
    time = dt.datetime(*when, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]
    return {"at": (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)}


@patient
@given(st.lists(EVENTS, min_size=1, max_size=30))
def test_one_event_gets_the_bits_that_its_row_gets(events: list[dict[str, Any]]) -> None:
    found = offline.row_features(FEATURES, columns(events))
    for name, values in found.items():
        ours = [of(event)[name] for event in events]
        assert [struct.pack("d", value) for value in ours] == [struct.pack("d", value) for value in values], name


@patient
@given(st.lists(CENTURIES | st.sampled_from([0, -1]), min_size=1, max_size=20))
def test_the_calendar_of_a_zone_is_the_same_for_one_time_and_for_a_column(times: list[int]) -> None:
    table = pa.table({"at": pa.array(times).cast(pa.timestamp("us", "UTC"))})
    found = offline.row_features(CALENDAR, table)
    for row, time in enumerate(times):
        assert of({"at": time}, CALENDAR) == {name: values[row] for name, values in found.items()}


@patient
@given(CENTURIES, st.sampled_from(ZONES))
def test_the_calendar_is_that_of_the_wall_clock(time: int, zone: str) -> None:
    local = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time)).astimezone(ZoneInfo(zone))
    found = of({"at": time}, CALENDAR)
    assert [found[f"{kind} {zone}"] for kind in ("hour", "weekday", "monthday", "weekend", "night", "holiday")] == [
        local.hour, local.weekday(), local.day, local.weekday() >= 5, local.hour <= 6,
        str(local.date()) in HOLIDAYS,
    ]  # fmt: skip


def test_a_holiday_begins_and_ends_at_midnight_of_its_zone() -> None:
    clocks = [(2018, 12, 24, 22, 59), (2018, 12, 24, 23), (2018, 12, 26, 22, 59), (2018, 12, 26, 23)]
    assert [of(at(*clock), CALENDAR)["holiday Europe/Berlin"] for clock in clocks] == [0, 1, 1, 0]


def test_the_hour_that_summer_time_repeats_has_one_number_twice_and_the_one_it_skips_none() -> None:
    autumn = [of(at(2018, 10, 28, hour), CALENDAR)["hour Europe/Berlin"] for hour in range(4)]
    spring = [of(at(2018, 3, 25, hour), CALENDAR)["hour Europe/Berlin"] for hour in range(4)]
    assert (autumn, spring) == ([2, 2, 3, 4], [1, 3, 4, 5])


def test_every_row_feature_is_computed_and_no_other() -> None:
    assert tuple(offline.row_features(FEATURES, columns([]))) == FEATURES.names


@pytest.mark.parametrize(("day", "weekend"), [(5, 0), (6, 0), (7, 1), (8, 1), (9, 0)])
def test_the_weekend_is_saturday_and_sunday(day: int, weekend: float) -> None:
    for clock in ((0, 0), (23, 59)):
        assert of(at(2018, 4, day, *clock) | {"grade": None})["weekend"] == weekend


@patient
@given(st.integers(-200_000, 200_000))
def test_weekends_and_nights_are_the_calendars_before_1970_too(hours: int) -> None:
    when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
    found = of({"at": hours * HOUR_US, "grade": None})
    assert found["weekend"] == (when.weekday() >= 5)
    assert (found["night"], found["midnight"], found["always"]) == (when.hour <= 6, when.hour == 0, True)


def test_the_last_hour_of_the_night_counts_whole() -> None:
    last, first = 7 * HOUR_US - 1, 7 * HOUR_US
    assert [of({"at": time, "grade": None})["night"] for time in (0, last, first, DAY_US - 1, DAY_US)] == [
        1,
        1,
        0,
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("grade", "expected"), [("B", (1, 0, 1)), ("", (0, 1, 3)), ("b", (0, 0, -1)), (None, (0, 0, -1))]
)
def test_a_category_is_itself_alone_and_an_unknown_one_has_no_place(grade: str | None, expected: tuple[int]) -> None:
    found = of({"at": 0, "grade": grade})
    assert (found["is_b"], found["is_empty"], found["rank"]) == expected


def test_a_value_that_is_null_or_absent_gives_what_its_definition_says() -> None:
    for event in ({"at": 0, "minor": None, "rate": None}, {"at": 0}):
        assert (of(event)["minor"], of(event)["rate"]) == (0.0, -1.5)


def test_encodings_and_chunks_of_a_column_do_not_matter() -> None:
    events = [{"at": 0, "minor": 1, "rate": 0.5, "grade": grade} for grade in ("A", None, "B", "Z")]
    plain = columns(events)
    encoded = plain.set_column(3, "grade", plain["grade"].dictionary_encode())
    cut = pa.concat_tables([plain.slice(0, 1), plain.slice(1)])
    for other in (encoded, cut):
        for name, values in offline.row_features(FEATURES, other).items():
            assert np.array_equal(values, offline.row_features(FEATURES, plain)[name])
