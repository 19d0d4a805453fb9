"""Every rule of the contract finds the rows that break it, in one file and across files, and no other row."""

import contextlib
import datetime as dt
import json
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import schemas
from workbench.config import ColumnConfig, DataConfig
from workbench.data import checks, contracts, snapshots
from workbench.data.buckets import bucket_of
from workbench.data.casting import ARROW_TYPES, UNFIT
from workbench.data.contracts import LONGEST_TEXT, Context, Violation
from workbench.data.store import Artifact, Store
from workbench.errors import InputError

NAN, INF = float("nan"), float("inf")
LEAST, BEYOND, MOST = -(2**63), 2**53 + 1, 2**63 - 1  # no float is BEYOND
TIMES = [dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 3, 2)]


def reasons(kind: str, values: list[Any], context: Context = Context(), **rules: Any) -> list[list[str]]:  # noqa: B008
    """The broken rules per row of a table with one column, `c`."""
    table = pa.table({"c": pa.array(values, ARROW_TYPES[kind])})
    checked = contracts.with_reasons(table, {"c": ColumnConfig(kind, **rules)}, context)
    return [[reason.removeprefix("c: ") for reason in row] for row in checked[contracts.REASONS].to_pylist()]


class TestOneFile:
    @pytest.mark.parametrize(
        ("kind", "values", "rules", "expected"),
        [
            ("integer", [1, None], {}, [[], ["null"]]),
            ("integer", [1, None], {"nulls": True}, [[], []]),
            ("number", [1.0, NAN, float("inf"), None], {"nulls": True}, [[], ["not finite"], ["not finite"], []]),
            ("integer", [-1, 0, 1], {"minimum": 0}, [["below 0"], [], []]),
            ("money", [10_000_000, 10_000_001], {"maximum": 10_000_000}, [[], ["above 10000000"]]),
            ("number", [0.5, 0.25, None], {"minimum": 0.3, "nulls": True}, [[], ["below 0.3"], []]),
            ("string", ["a", "x", None], {"categories": ["a"], "nulls": True}, [[], ["unknown category"], []]),
            ("string", ["a", None], {"categories": ["a"]}, [[], ["null"]]),
            ("timestamp", TIMES, {"ordered": True}, [[], [], ["out of order"]]),
            ("integer", [5, None, 5, 4], {"ordered": True, "nulls": True}, [[], [], [], ["out of order"]]),
            ("number", [0.5, 0.6, 0.55, NAN], {"ordered": True}, [[], [], ["out of order"], ["not finite"]]),
            ("number", [0.5, float("inf"), 0.6], {"ordered": True}, [[], ["not finite"], []]),
            ("integer", [3, 1, 2], {"ordered": True}, [[], ["out of order"], ["out of order"]]),
            ("integer", [-1, None], {"minimum": 0, "maximum": -2}, [["below 0", "above -2"], ["null"]]),
            ("integer", [], {"minimum": 0, "ordered": True}, []),
        ],
    )  # fmt: skip
    def test_each_rule_names_the_rows_that_break_it(
        self, kind: str, values: list[Any], rules: dict[str, Any], expected: list[list[str]]
    ) -> None:
        assert reasons(kind, values, **rules) == expected

    @pytest.mark.parametrize(
        ("rules", "broken"),
        [
            ({"minimum": 0.0}, {"below 0": [LEAST, -1]}),
            ({"minimum": 0.5}, {"below 0.5": [LEAST, -1, 0]}),
            ({"minimum": -0.5, "maximum": 0.5}, {"below -0.5": [LEAST, -1], "above 0.5": [1, BEYOND, MOST]}),
            ({"maximum": 2.0**53}, {"above 9.00719925474099e+15": [BEYOND, MOST]}),
            ({"minimum": 2.0**63}, {"below 9.22337203685478e+18": [LEAST, -1, 0, 1, BEYOND, MOST]}),
            ({"maximum": -(2.0**63)}, {"above -9.22337203685478e+18": [-1, 0, 1, BEYOND, MOST]}),
            ({"maximum": -1e300}, {"above -1e+300": [LEAST, -1, 0, 1, BEYOND, MOST]}),
            ({"minimum": -INF, "maximum": INF}, {}),
            ({"minimum": INF}, {"below inf": [LEAST, -1, 0, 1, BEYOND, MOST]}),
            ({"minimum": NAN, "maximum": NAN}, {}),
        ],
    )
    @pytest.mark.parametrize("kind", ["integer", "money"])
    def test_a_bound_of_whole_numbers_is_exact_to_the_last_one(
        self, kind: str, rules: dict[str, float], broken: dict[str, list[int]]
    ) -> None:
        """Hydra makes a float of every bound, and most floats have no whole number of 64 bits for their own."""
        values = [LEAST, -1, 0, 1, BEYOND, MOST, None]
        expected = [[rule for rule, those in broken.items() if one in those] for one in values]
        assert reasons(kind, values, nulls=True, **rules) == expected

    def test_a_text_is_as_long_as_the_endpoint_takes_it(self) -> None:
        texts = ["x" * 200, "\N{GRINNING FACE}" * 200, "x" * 201, "\N{GRINNING FACE}" * 201]
        told = reasons("string", texts, Context(longest_text=LONGEST_TEXT))
        assert told == [[], [], *[["longer than 200 characters"]] * 2]
        columns = {"id": ColumnConfig(type="integer"), "x": ColumnConfig(type="string")}
        taken = msgspec.json.Decoder(
            schemas.event_type(DataConfig(name="d", id="id", event_time=None, columns=columns))
        )
        for text, why in zip(texts, told, strict=True):
            with pytest.raises(msgspec.ValidationError) if why else contextlib.nullcontext():
                taken.decode(msgspec.json.encode({"id": 1, "x": text}))
        category = reasons("string", ["y" * 300], Context(longest_text=LONGEST_TEXT), categories=["y" * 300])
        assert category == [[]], "what is declared is no free text"

    def test_order_goes_on_from_the_files_before(self) -> None:
        assert reasons("integer", [2, 3, 4], Context(before={"c": 3}), ordered=True) == [["out of order"], [], []]
        assert reasons("integer", [-5], Context(before={"c": None}), ordered=True) == [[]]

    def test_all_rows_of_a_repeated_value_break_uniqueness(self) -> None:
        repeated = Context(repeated={"c": pa.array([1])})
        assert reasons("integer", [1, 2, 1, None], repeated, nulls=True) == [["not unique"], [], ["not unique"], []]

    @given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=40), st.integers(-3, 0), st.integers(0, 3))
    def test_rules_agree_with_a_plain_loop(self, values: list[int | None], low: int, high: int) -> None:
        expected, top = [], -99
        for value in values:
            row = ["null"] if value is None else []
            if value is not None:
                row += ["below " + str(low)] * (value < low) + ["above " + str(high)] * (value > high)
                row += ["out of order"] * (value < top)
                top = max(top, value)
            expected.append(row)
        assert reasons("integer", values, minimum=low, maximum=high, ordered=True) == expected

    def test_good_and_bad_rows_together_are_all_rows(self) -> None:
        table = pa.table({"c": pa.array([1, None, -1, 2])})
        checked = contracts.with_reasons(table, {"c": ColumnConfig("integer", minimum=0)}, Context())
        assert contracts.good(checked).equals(pa.table({"c": pa.array([1, 2])}))
        assert contracts.bad(checked)["c"].to_pylist() == [None, -1]


class TestMisfits:
    """A value that is not of its type breaks that rule and no other, and is shown as the file has it."""

    TABLE = pa.table(
        {
            "id": pa.array([1, None, 3, None], pa.int64()),
            "v": pa.array([None, None, 0.5, None], pa.float64()),
            f"{UNFIT}id": [None, "two", None, None],
            f"{UNFIT}v": ["x", "y", None, None],
        }
    )
    CHECKED = contracts.with_reasons(
        TABLE,
        {
            "id": ColumnConfig("integer", unique=True, ordered=True),
            "v": ColumnConfig("number", minimum=1, ordered=True),
        },
        Context(repeated={"id": pa.array([9])}),
    )

    def test_break_the_rule_about_types_only(self) -> None:
        assert self.CHECKED[contracts.REASONS].to_pylist() == [
            ["v: not of type number"],
            ["id: not of type integer", "v: not of type number"],
            ["v: below 1"],
            ["id: null", "v: null"],
        ]

    def test_are_bad_where_nulls_are_allowed(self) -> None:
        checked = contracts.with_reasons(self.TABLE, {"v": ColumnConfig("number", nulls=True)}, Context())
        assert checked[contracts.REASONS].to_pylist() == [["v: not of type number"]] * 2 + [[], []]

    def test_leave_the_good_rows_as_if_there_had_been_none(self) -> None:
        checked = contracts.with_reasons(self.TABLE, {"v": ColumnConfig("number")}, Context())
        assert contracts.good(checked).equals(pa.table({"id": [3], "v": [0.5]}))

    def test_are_counted_with_the_text_of_the_file(self) -> None:
        found = contracts.violations(contracts.bad(self.CHECKED), "id")
        assert found[0] == Violation("v", "not of type number", 2, "x", "1")
        assert found[1] == Violation("id", "not of type integer", 1, "two", "two")

    def test_are_in_quarantine_as_the_file_has_them(self) -> None:
        kept = contracts.quarantine_rows(contracts.bad(self.CHECKED), "id", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        assert kept["id"].to_pylist() == ["1", "two", "3", "None"]
        assert [json.loads(row) for row in kept["row"].to_pylist()][:3] == [
            {"id": 1, "v": "x"},
            {"id": "two", "v": "y"},
            {"id": 3, "v": 0.5},
        ]


class TestReports:
    BAD = pa.table(
        {
            "id": [7, 8, 9],
            "c": pa.array([-1, None, -2]),
            contracts.REASONS: [["c: below 0"], ["c: null"], ["c: below 0", "id: not unique"]],
        }
    )

    def test_every_violation_is_counted_with_an_example(self) -> None:
        assert contracts.merged(contracts.violations(self.BAD, "id")) == [
            Violation("c", "below 0", 2, "-1", "7"),
            Violation("c", "null", 1, "None", "8"),
            Violation("id", "not unique", 1, "9", "9"),
        ]

    def test_counts_of_several_files_add_up(self) -> None:
        parts = [one for _ in range(3) for one in contracts.violations(self.BAD, "id")]
        assert [one.count for one in contracts.merged(parts)] == [6, 3, 3]

    def test_quarantine_keeps_the_whole_row_and_its_reasons(self) -> None:
        kept = contracts.quarantine_rows(self.BAD, "id", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        assert kept["id"].to_pylist() == ["7", "8", "9"]
        assert kept["reasons"].to_pylist()[2] == ["c: below 0", "id: not unique"]
        assert json.loads(kept["row"][2].as_py()) == {"id": 9, "c": -2}

    def test_the_table_lists_all_of_them(self) -> None:
        lines = contracts.table_of(contracts.violations(self.BAD, "id")).splitlines()
        assert lines[0].split() == ["column", "rule", "rows", "example", "in", "row", "with", "id"]
        assert lines[1].split() == ["c", "below", "0", "2", "-1", "7"]
        assert len(lines) == 4

    def test_an_id_is_unique_without_being_told_unless_it_is_numbered(self) -> None:
        data = DataConfig(name="x", id="id", event_time="t", columns={"id": ColumnConfig("integer")})
        assert contracts.contract_of(data)["id"].unique
        data.numbered = True
        assert not contracts.contract_of(data)["id"].unique


CONTRACT = {
    "id": ColumnConfig("integer", unique=True, nulls=True),
    "name": ColumnConfig("string", unique=True, nulls=True),
    "at": ColumnConfig("timestamp", unique=True, ordered=True, nulls=True),
    "v": ColumnConfig("number", ordered=True, nulls=True),
}


def snapshot(store: Store, rows_per_file: int, **columns: list[Any]) -> Artifact:
    types = {name: ARROW_TYPES[column.type] for name, column in CONTRACT.items()}
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in types.items()})
    return snapshots.write(store, "raw", "k", table, parents={}, config={}, rows_per_file=rows_per_file)


@pytest.mark.parametrize("values", [[5, None, -1, 5], ["x", None, "y", "x"]])
def test_equal_values_share_a_bucket_and_a_null_has_one_too(values: list[Any]) -> None:
    buckets = bucket_of(pa.chunked_array([pa.array(values)]), 3).to_pylist()
    assert buckets[0] == buckets[3]
    assert set(buckets) <= {0, 1, 2}


@pytest.mark.usefixtures("ray_session")
class TestAcrossFiles:
    @pytest.mark.parametrize("rows_per_file", [2, 100])
    def test_repeats_and_order_are_found_however_the_rows_are_cut(self, store: Store, rows_per_file: int) -> None:
        day = [dt.datetime(2020, 1, one, tzinfo=dt.UTC) for one in range(1, 9)]
        raw = snapshot(
            store,
            rows_per_file,
            id=[1, 2, None, 3, 1, None, -4],
            name=["a", None, "b", "c", "d", "a", None],
            at=[day[0], day[1], day[2], None, day[1], day[4], day[5]],
            v=[0.5, 1.5, 1.25, None, 1.4, NAN, 1.5],
        )
        rows = checks.checked(raw, CONTRACT).take_all()
        assert [row["id"] for row in rows] == [1, 2, None, 3, 1, None, -4]
        assert [row[contracts.REASONS] for row in rows] == [
            ["id: not unique", "name: not unique"],
            ["at: not unique"],
            ["v: out of order"],
            [],
            ["id: not unique", "at: not unique", "at: out of order", "v: out of order"],
            ["name: not unique", "v: not finite"],
            [],
        ]

    def test_a_text_that_the_endpoint_would_not_take_goes_to_quarantine(self, store: Store) -> None:
        times = [dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 2)]
        raw = snapshot(store, 100, id=[1, 2], name=["a" * 200, "b" * 201], at=times, v=[1.0, 2.0])
        broken = [row[contracts.REASONS] for row in checks.checked(raw, CONTRACT).take_all()]
        assert broken == [[], ["name: longer than 200 characters"]]

    def test_many_files_agree_with_a_plain_loop(self, store: Store) -> None:
        rng = np.random.default_rng(1)
        ids, values = rng.integers(0, 600, 500).tolist(), np.sort(rng.normal(size=500))
        values[rng.integers(0, 500, 20)] -= 1
        raw = snapshot(store, 37, id=ids, name=[None] * 500, at=[None] * 500, v=values.tolist())
        rows = checks.checked(raw, CONTRACT).take_all()
        highest = np.maximum.accumulate(values)
        for number, row in enumerate(rows):
            expected = ["id: not unique"] * (ids.count(ids[number]) > 1)
            expected += ["v: out of order"] * bool(values[number] < highest[number])
            assert row[contracts.REASONS] == expected

    def test_a_snapshot_without_the_declared_columns_is_refused(self, store: Store) -> None:
        raw = snapshots.write(store, "raw", "k", pa.table({"id": ["1"]}), parents={}, config={})
        with pytest.raises(InputError) as error:
            checks.checked(raw, {"id": ColumnConfig("integer"), "x": ColumnConfig("string")})
        assert "column id: string, declared integer (int64)" in str(error.value)
        assert "column x: missing, declared string (string)" in str(error.value)
