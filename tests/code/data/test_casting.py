"""Every value that fits comes out exactly; one that does not is found, counted and shown, however many there are."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import ColumnConfig
from workbench.data import casting
from workbench.data.casting import ARROW_TYPES, column_as, plain

patient = settings(deadline=None)  # a busy machine is no failure
MINOR = st.integers(-(2**51) + 1, 2**51 - 1)


def cast(values: Any, kind: str, **column: Any) -> list[Any]:
    typed, fault = column_as(values if isinstance(values, pa.Array) else pa.array(values), ColumnConfig(kind, **column))
    assert fault is None, fault
    assert typed.type == ARROW_TYPES[kind]
    found: list[Any] = typed.to_pylist()
    return found


def misfit(values: Any, kind: str, **column: Any) -> str:
    values = values if isinstance(values, pa.Array) else pa.array(values)
    typed, fault = column_as(values, ColumnConfig(kind, **column))
    assert (typed.type, typed.null_count) == (ARROW_TYPES[kind], len(values))
    return str(fault)


class TestMoney:
    @patient
    @given(st.lists(MINOR, min_size=1, max_size=20), st.integers(0, 6))
    def test_any_amount_below_the_limit_is_exact_as_text_decimal_and_number(
        self, minor: list[int], decimals: int
    ) -> None:
        exact = [Decimal(one).scaleb(-decimals) for one in minor]
        for values in (
            pa.array([f"{one:f}" for one in exact]),
            pa.array([float(one) for one in exact]),
            pa.array(exact, pa.decimal128(38, 6)),
        ):
            assert cast(values, "money", decimals=decimals) == minor

    @pytest.mark.parametrize("minor", [2**51, -(2**51), 2**60])
    def test_the_limit_itself_does_not_fit(self, minor: int) -> None:
        assert "1 of 1 values are not of type money" in misfit([minor], "money", decimals=0)

    def test_halves_of_a_minor_unit_go_to_the_even_one(self) -> None:
        assert cast([0.125, 0.375, -0.125, 2.5], "money") == [12, 38, -12, 250]

    def test_whole_numbers_in_the_file_are_major_units(self) -> None:
        assert cast([3, None], "money") == [300, None]
        assert cast([3], "money", decimals=3) == [3000]


class TestTimes:
    NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)

    @pytest.mark.parametrize(
        "text",
        ["2020-01-01 12:00:00", "2020-01-01T12:00", "2020-01-01T12:00:00Z", "2020-01-01 12:00:00.000000",
         "2020-01-01T14:00:00+02:00", "2020-01-01T14:00:00+0200", "2020-01-01T05:30:00-06:30"],
    )  # fmt: skip
    def test_a_zone_counts_and_a_time_without_one_is_utc(self, text: str) -> None:
        assert cast([text], "timestamp") == [self.NOON]

    def test_times_with_and_without_a_zone_may_stand_in_one_column(self) -> None:
        assert cast(["2020-01-01T13:00:00+01:00", None, "2020-01-01 12:00:00"], "timestamp") == [
            self.NOON,
            None,
            self.NOON,
        ]

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
    def test_typed_times_keep_their_instant_in_every_unit_and_zone(self, unit: str, zone: str | None) -> None:
        values = pa.array([self.NOON]).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "UTC"))
        assert cast(values.cast(pa.timestamp(unit, zone)), "timestamp") == [self.NOON]

    def test_nanoseconds_are_cut_off(self) -> None:
        assert cast(pa.array([1_999, 2_000], pa.timestamp("ns")), "timestamp") == [
            dt.datetime(1970, 1, 1, 0, 0, 0, micro, tzinfo=dt.UTC) for micro in (1, 2)
        ]

    def test_a_date_is_its_first_instant(self) -> None:
        midnight = [self.NOON.replace(hour=0)]
        assert cast(["2020-01-01"], "timestamp") == midnight
        for kind in (pa.date32(), pa.date64()):
            assert cast(pa.array([dt.date(2020, 1, 1)], kind), "timestamp") == midnight

    @patient
    @given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), st.sampled_from(["", "Z", "+00:00"]))
    def test_iso_texts_come_back_to_the_microsecond(self, time: dt.datetime, zone: str) -> None:
        assert cast([time.isoformat() + zone, str(time)], "timestamp") == [time.replace(tzinfo=dt.UTC)] * 2

    @pytest.mark.parametrize(
        "text",
        ["", "yesterday", "2020-13-01", "2020-02-30", "01/02/2020", "2020-01-01T25:00:00", "2020-01-01T14+02", "12:00"],
    )
    def test_what_is_no_time_is_not_guessed(self, text: str) -> None:
        assert repr(text) in misfit(["2020-01-01", text], "timestamp")


class TestNumbersAndTexts:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["7", "-0", "007", None], [7, 0, 7, None]),
            ([True, False], [1, 0]),
            ([2.0, None], [2, None]),
            (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
            (pa.array([Decimal("3.00")]), [3]),
        ],
    )
    def test_what_is_a_whole_number_becomes_one(self, values: Any, expected: list[int | None]) -> None:
        assert cast(values, "integer") == expected

    @pytest.mark.parametrize(
        "values",
        [["7.0"], ["1e3"], ["1_000"], ["1 000"], [""], [1.5], [float("nan")], [1e19], pa.array([2**63], pa.uint64())],
    )
    def test_what_is_no_whole_number_of_64_bits_does_not_fit(self, values: Any) -> None:
        assert "1 of 1 values are not of type integer" in misfit(values, "integer")

    @patient
    @given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=20))
    def test_numbers_written_as_text_are_the_same_to_the_last_bit(self, values: list[float | None]) -> None:
        texts = [None if value is None else repr(value) for value in values]
        assert cast(pa.array(texts, pa.string()), "number") == values

    def test_a_truth_value_is_no_amount_and_no_measure(self) -> None:
        for kind in ("number", "money", "timestamp"):
            assert "first in row 0: 'True'" in misfit([True], kind)

    def test_texts_keep_zeros_and_spaces_and_other_types_become_their_text(self) -> None:
        assert cast([" 007 ", "", None], "string") == [" 007 ", "", None]
        assert cast([7, None], "string") == ["7", None]

    def test_bytes_that_are_no_text_do_not_fit(self) -> None:
        assert "1 of 2 values are not of type string, first in row 1" in misfit([b"fine", b"\xff"], "string")

    @pytest.mark.parametrize("kind", ARROW_TYPES)
    def test_a_column_of_nulls_fits_every_type_and_a_nested_one_none(self, kind: str) -> None:
        assert cast(pa.nulls(2), kind) == [None, None]
        assert cast(pa.array([None], pa.string()), kind) == [None]
        assert "1 of 2 values" in misfit(pa.array([None, [1]]), kind)


class TestMisfits:
    @patient
    @given(st.lists(st.one_of(st.none(), st.sampled_from(["1", "2", "x", "y", "7.5"])), min_size=1, max_size=40))
    def test_all_of_them_are_counted_and_the_first_is_shown(self, values: list[str | None]) -> None:
        bad = [row for row, value in enumerate(values) if value in ("x", "y", "7.5")]
        typed, fault = column_as(pa.array(values, pa.string()), ColumnConfig("integer"))
        if bad:
            first = f"first in row {bad[0]}: {values[bad[0]]!r}"
            assert fault == f"{len(bad)} of {len(values)} values are not of type integer, {first}"
        else:
            assert (fault, typed.to_pylist()) == (None, [value and int(value) for value in values])

    def test_a_long_value_is_cut_in_the_message(self) -> None:
        assert misfit(["x" * 100], "integer").endswith(repr("x" * 40))

    def test_counting_stops_at_the_configured_number_of_distinct_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(casting, "COUNTED", 2)
        assert misfit(["x", "x", "y", "z"], "integer").startswith("at least 3 of 4 values")

    def test_encodings_are_undone(self) -> None:
        for values in (pa.array(["a", None]).dictionary_encode(), pa.array(["a", None], pa.string_view())):
            assert plain(values).equals(pa.array(["a", None]))
