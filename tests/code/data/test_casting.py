"""Every value that fits comes out exactly; one that does not is found and keeps its text, however many there are."""

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
NAN = float("nan")
MINOR = st.integers(-(2**51) + 1, 2**51 - 1)
LIKELY = [  # texts that are nearly, or just, of a type
    r"[+-]?[0-9]{1,21}(\.[0-9]{0,3})?([eE][+-]?[0-9]{1,3})?",
    r"[-+]?(0[xX][0-9a-fA-F]{1,17}|[iI]nf(inity)?|nan(\([0-9]\))?|\.[0-9]?)",
    r"[0-9]{3,5}-[01][0-9]-[0-3][0-9]"
    r"([ T][0-2][0-9](:[0-6][0-9](:[0-6][0-9](\.[0-9]{0,9})?)?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?)?",
]


def cast(values: Any, kind: str, **column: Any) -> list[Any]:
    typed, unfit = column_as(values if isinstance(values, pa.Array) else pa.array(values), ColumnConfig(kind, **column))
    assert unfit is None, unfit
    assert typed.type == ARROW_TYPES[kind]
    found: list[Any] = typed.to_pylist()
    return found


def misfits(values: Any, kind: str, **column: Any) -> list[str | None]:
    """The text of each value that does not fit and is null in the typed column; None for the others."""
    values = values if isinstance(values, pa.Array) else pa.array(values)
    typed, unfit = column_as(values, ColumnConfig(kind, **column))
    assert typed.type == ARROW_TYPES[kind]
    assert unfit is not None
    texts: list[str | None] = unfit.to_pylist()
    lost = [
        was and not came for was, came in zip(values.is_valid().to_pylist(), typed.is_valid().to_pylist(), strict=True)
    ]
    assert [text is not None for text in texts] == lost
    return texts


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
        assert misfits([minor, 1], "money", decimals=0) == [str(minor), None]

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
        ["", "yesterday", "2020-13-01", "2020-02-30", "01/02/2020", "2020-01-01T25:00:00", "2020-01-01T14+02", "12:00",
         "0000-01-01", "0001-01-01T00:00:00+01:00", "2019-02-29", "2020-04-31", "2020-01-01T10:00:00.", "1577836800"],
    )  # fmt: skip
    def test_what_is_no_time_is_not_guessed(self, text: str) -> None:
        assert misfits(["2020-01-01", text], "timestamp") == [None, text]

    @pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
    @pytest.mark.parametrize("digits", ["1234567", "123456789", "123456999999"])
    def test_texts_below_a_microsecond_are_cut_as_typed_times_are(self, zone: str, digits: str) -> None:
        cut = self.NOON.replace(microsecond=123456)
        texts = [f"2020-01-01T12:00:00.{digits}{zone}", "2020-01-01 12:00:00"]
        assert cast(texts, "timestamp") == [cut, self.NOON]
        assert misfits([*texts, "x"], "timestamp") == [None, None, "x"]

    @pytest.mark.parametrize(
        ("count", "kind"),
        [(10**13, pa.timestamp("s")), (2**64 // 10**6 + 1, pa.timestamp("s")),
         (10**13, pa.timestamp("s", "UTC")), (10**17, pa.timestamp("ms")),
         (10**9, pa.date32()), (-(10**8), pa.date32()), (10**18, pa.timestamp("us"))],
    )  # fmt: skip
    def test_a_typed_time_outside_the_years_1_to_9999_does_not_wrap_but_misfits(
        self, count: int, kind: pa.DataType
    ) -> None:
        typed, unfit = column_as(pa.array([count, None, 0], kind), ColumnConfig("timestamp"))
        assert typed.to_pylist() == [None, None, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]
        assert unfit is not None
        assert unfit.is_valid().to_pylist() == [True, False, False]


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
        [["7.0"], ["1e3"], ["1_000"], ["1 000"], [""], [1.5], [NAN], [1e19], pa.array([2**63], pa.uint64()),
         [Decimal("1.5")], [str(2**63)], [str(-(2**63) - 1)], ["99999999999999999999"], ["-"], ["5\n"]],
    )  # fmt: skip
    def test_what_is_no_whole_number_of_64_bits_does_not_fit(self, values: Any) -> None:
        values = values if isinstance(values, pa.Array) else pa.array(values)
        fitting = pa.array(["7"]).cast(values.type)
        assert misfits(pa.concat_arrays([values, fitting]), "integer") == [values.cast(pa.string())[0].as_py(), None]

    @patient
    @given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=20))
    def test_numbers_written_as_text_are_the_same_to_the_last_bit(self, values: list[float | None]) -> None:
        texts = [None if value is None else repr(value) for value in values]
        assert cast(pa.array(texts, pa.string()), "number") == values

    @pytest.mark.parametrize(
        ("kind", "values"),
        [(kind, [True]) for kind in ("number", "money", "timestamp")]
        + [(kind, [None, [1]]) for kind in ARROW_TYPES]
        + [("timestamp", [1522540831]), ("integer", [dt.datetime(2020, 1, 1)]), ("string", [{"nested": 1}])],
    )  # fmt: skip
    def test_a_column_whose_type_is_never_the_declared_one_is_refused_as_a_whole(
        self, kind: str, values: list[Any]
    ) -> None:
        with pytest.raises(pa.ArrowTypeError, match=f"is never {kind}"):
            column_as(pa.array(values), ColumnConfig(kind))

    def test_texts_keep_zeros_and_spaces_and_other_types_become_their_text(self) -> None:
        assert cast([" 007 ", "", None], "string") == [" 007 ", "", None]
        assert cast([7, None], "string") == ["7", None]

    def test_bytes_that_are_no_text_do_not_fit(self) -> None:
        for kind in (pa.binary(), pa.large_binary(), pa.binary(4), pa.binary_view()):
            assert misfits(pa.array([b"fine", b"\xff no", None], kind), "string") == [None, "\\xff no", None]

    @pytest.mark.parametrize("kind", ARROW_TYPES)
    def test_a_column_of_nulls_fits_every_type(self, kind: str) -> None:
        assert cast(pa.nulls(2), kind) == [None, None]
        assert cast(pa.array([None], pa.string()), kind) == [None]


class TestMisfits:
    @patient
    @given(st.lists(st.one_of(st.none(), st.sampled_from(["1", "2", "x", "y", "7.5"])), min_size=1, max_size=40))
    def test_all_of_them_keep_their_text_and_the_others_their_value(self, values: list[str | None]) -> None:
        typed, unfit = column_as(pa.array(values, pa.string()), ColumnConfig("integer"))
        bad = [value if value in ("x", "y", "7.5") else None for value in values]
        assert typed.to_pylist() == [int(value) if value in ("1", "2") else None for value in values]
        assert (unfit.to_pylist() if unfit is not None else [None] * len(values)) == bad

    @patient
    @given(st.sampled_from([*ARROW_TYPES]), st.one_of(*[st.from_regex(form, fullmatch=True) for form in LIKELY]))
    def test_one_of_them_changes_nothing_for_its_neighbours(self, kind: str, text: str) -> None:
        alone, _ = column_as(pa.array([text]), ColumnConfig(kind))
        together, _ = column_as(pa.array(["~", text]), ColumnConfig(kind))
        assert str(alone[0]) == str(together[1])

    @pytest.mark.parametrize(
        ("kind", "text"),
        [("integer", text) for text in (str(2**63 - 1), str(-(2**63)), f"00{2**62}", "0xfF", "-0", "8" + "9" * 18)]
        + [("number", text) for text in ("1.", ".5", "-.5e-3", "1E5", "+1", "-Infinity", "nan(1)", "007", "1e+400")]
        + [("money", text) for text in ("1.", ".5", "1e3", "-0.01")]
        + [("timestamp", f"2020-{day}") for day in ("01-31", "02-29", "04-30", "09-30", "11-30", "12-31")]
        + [("timestamp", f"2020-01-01{clock}")
           for clock in ("T10", " 23:59:59.9", "T10:00Z", "T10:00+02", "T10:00-0230")]
        + [("timestamp", f"2020-01-01 10:00:00.123456{zone}") for zone in ("", "Z", "+02:30", "-0230")],
    )  # fmt: skip
    def test_what_barely_fits_still_does_beside_one_of_them(self, kind: str, text: str) -> None:
        alone, none = column_as(pa.array([text]), ColumnConfig(kind))
        assert none is None
        assert str(column_as(pa.array(["~", text]), ColumnConfig(kind))[0][1]) == str(alone[0])

    def test_a_number_that_is_not_finite_is_no_amount(self) -> None:
        assert misfits(["nan", "1", "-inf", "1e400"], "money") == ["nan", None, "-inf", "1e400"]
        assert misfits([1.0, NAN, float("inf"), 1e20, 3e13], "money")[:3] == [None, "nan", "inf"]

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            ("integer", [f"x{number}" for number in range(200_000)]),
            ("integer", [number + 0.5 for number in range(200_000)]),
            ("money", [f"{number} EUR" for number in range(200_000)]),
            ("number", [f"{number},5" for number in range(200_000)]),
            ("timestamp", [f"01/02/2020 {number}" for number in range(200_000)]),
        ],
        ids=["integer", "whole", "money", "number", "timestamp"],
    )
    def test_a_file_full_of_them_is_read_without_a_cast_for_each(
        self, kind: str, values: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        casts, real = [], casting._cast
        monkeypatch.setattr(casting, "_cast", lambda *given: (casts.append(1), real(*given))[1])
        assert misfits(values, kind) == [str(value) for value in values]
        assert len(casts) < 10

    def test_a_column_without_any_is_cast_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        casts, real = [], casting._cast
        monkeypatch.setattr(casting, "_cast", lambda *given: (casts.append(1), real(*given))[1])
        assert cast(["1", "2", None], "integer") == [1, 2, None]
        assert len(casts) == 1

    def test_encodings_are_undone(self) -> None:
        for values in (pa.array(["a", None]).dictionary_encode(), pa.array(["a", None], pa.string_view())):
            assert plain(values).equals(pa.array(["a", None]))
