"""A file comes back as it was written, under a name that its content gives it, or not at all."""

import datetime as dt
import functools
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from workbench import digest
from workbench.data.parquet import choose, read_bytes, read_table, share, span, write_bytes, write_table
from workbench.data.store import Store
from workbench.errors import EnvironmentFault, StoreError

NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
TABLE = pa.table(
    {
        "integer": pa.array([1, None, -(2**63)]),
        "label": pa.array([1, 0, None], pa.int8()),
        "number": pa.array([0.1, float("inf"), None]),
        "text": pa.array(["é\n", "", None]),
        "flag": pa.array([True, False, None]),
        "at": pa.array([NOON, NOON + dt.timedelta(microseconds=1), None], pa.timestamp("us", "UTC")),
        "list": pa.array([[1.5], [], None], pa.list_(pa.float64())),
        "decimal": pa.array([Decimal("1.23"), None, Decimal("-9.99")], pa.decimal128(5, 2)),
        "nothing": pa.nulls(3),
    }
)


def test_every_type_comes_back_as_it_was(store: Store) -> None:
    entry = write_table(store.fs, store.path("x"), TABLE)
    assert read_table(store.fs, store.path("x"), entry).equals(TABLE)


def test_the_entry_says_rows_bytes_digest_and_a_name_made_of_it(store: Store) -> None:
    entry = write_table(store.fs, store.path("x"), TABLE, prefix="validation")
    content = Path(store.path("x", entry.name)).read_bytes()
    assert (entry.rows, entry.bytes, entry.sha256) == (3, len(content), digest.sha256(content))
    assert entry.name == f"validation-{entry.sha256[:16]}.parquet"


def test_the_same_rows_overwrite_themselves_and_other_rows_do_not(store: Store) -> None:
    first, again, other = (write_table(store.fs, store.path("x"), table) for table in (TABLE, TABLE, TABLE[:2]))
    assert first == again != other
    assert {path.name for path in Path(store.path("x")).iterdir()} == {first.name, other.name}


def test_times_below_a_microsecond_are_refused_and_coarser_ones_kept(store: Store) -> None:
    with pytest.raises(pa.ArrowInvalid, match="lose data"):
        write_table(store.fs, store.path("x"), pa.table({"at": pa.array([1], pa.timestamp("ns"))}))
    entry = write_table(store.fs, store.path("x"), pa.table({"at": pa.array([7], pa.timestamp("ms", "UTC"))}))
    (found,) = read_table(store.fs, store.path("x"), entry)["at"].to_pylist()
    assert found == dt.datetime(1970, 1, 1, 0, 0, 0, 7000, tzinfo=dt.UTC)


def test_a_file_of_another_length_or_of_other_content_is_refused(store: Store) -> None:
    entry = write_table(store.fs, store.path("x"), TABLE)
    path = Path(store.path("x", entry.name))
    content = path.read_bytes()
    for other in (b"", content + b"\0", content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(other)
        with pytest.raises(StoreError, match=r"is not the file in its manifest .* Delete .* and run the step again"):
            read_table(store.fs, store.path("x"), entry)


def test_a_listed_file_that_is_missing_says_what_to_do(store: Store) -> None:
    entry = write_table(store.fs, store.path("x"), TABLE)
    Path(store.path("x", entry.name)).unlink()
    with pytest.raises(StoreError, match="listed but missing"):
        read_table(store.fs, store.path("x"), entry)


def test_a_folder_where_a_file_should_be_is_a_fault_of_the_environment(store: Store) -> None:
    Path(store.path("x")).mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match=r"could not be (read|written).*storage\.root"):
        read_bytes(store.fs, store.path("x"))
    with pytest.raises(EnvironmentFault, match="could not be written"):
        write_bytes(store.fs, store.path("x"), b"x")


def test_bytes_come_back_and_replace_what_was_there(store: Store) -> None:
    for content in (b"longer content", memoryview(b"new"), b""):
        write_bytes(store.fs, store.path("deep", "er", "file"), content)
        assert read_bytes(store.fs, store.path("deep", "er", "file")) == bytes(content)


def test_a_filter_may_use_what_is_not_chosen_and_columns_come_in_the_order_asked_for() -> None:
    found = choose(TABLE, ["flag", "integer"], pc.field("label") == 0)
    assert found.to_pydict() == {"flag": [False], "integer": [None]}
    assert choose(TABLE) is TABLE
    assert choose(TABLE, []).column_names == []


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=30), st.integers(-3, 3))
def test_chosen_rows_keep_their_order_and_a_null_is_never_chosen(values: list[int | None], least: int) -> None:
    table = pa.table({"v": pa.array(values, pa.int64())})
    found = choose(table, rows=pc.field("v") >= least)["v"].to_pylist()
    assert found == [value for value in values if value is not None and value >= least]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint32(), pa.uint64()])
def test_whole_numbers_come_back_at_their_limits_and_with_nulls(store: Store, kind: pa.DataType) -> None:
    limits = np.iinfo(kind.to_pandas_dtype())
    least, most = int(limits.min), int(limits.max)
    table = pa.table({"a": pa.array([least, None, most, 0, most, least], kind)})
    entry = write_table(store.fs, store.path("limits"), table)
    assert read_table(store.fs, store.path("limits"), entry).equals(table)


class TestSpan:
    def test_least_and_greatest_are_those_of_all_row_groups(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = pa.array([5, None, 2**60, 3, -7], pa.timestamp("us", "UTC"))
        rows = pa.table({"list": pa.array([[1, 99]] * 5), "at": times, "number": [4, 1, -(2**62), 2, 3]})
        monkeypatch.setattr(pq, "write_table", functools.partial(pq.write_table, row_group_size=2))
        entry = write_table(store.fs, store.path("x"), rows)
        assert span(store.fs, store.path("x"), entry, "at") == (-7, 2**60)
        assert span(store.fs, store.path("x"), entry, "number") == (-(2**62), 4)

    def test_it_is_none_where_a_row_group_has_only_nulls_and_where_there_is_no_such_column(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = pa.table({"at": pa.array([5, 6, None, None], pa.timestamp("us", "UTC"))})
        monkeypatch.setattr(pq, "write_table", functools.partial(pq.write_table, row_group_size=2))
        entry = write_table(store.fs, store.path("x"), rows)
        assert span(store.fs, store.path("x"), entry, "at") is None
        assert span(store.fs, store.path("x"), entry, "other") is None

    def test_a_file_that_is_missing_or_no_parquet_is_named(self, store: Store) -> None:
        entry = write_table(store.fs, store.path("x"), TABLE)
        path = Path(store.path("x", entry.name))
        path.write_bytes(b"PAR1 nothing PAR1")
        with pytest.raises(StoreError, match=f"{entry.name} has no readable footer"):
            span(store.fs, store.path("x"), entry, "at")
        path.unlink()
        with pytest.raises(StoreError, match=f"{entry.name} is listed but missing"):
            span(store.fs, store.path("x"), entry, "at")


class TestShare:
    def test_on_a_disk_it_is_the_same_file_and_outlives_the_first_name(self, store: Store) -> None:
        entry = write_table(store.fs, store.path("x"), TABLE)
        one, other = Path(store.path("x", entry.name)), Path(store.path("y", entry.name))
        share(store.fs, str(one), str(other))
        share(store.fs, str(one), str(other))  # as after a crash
        assert one.samefile(other)
        one.unlink()
        assert read_table(store.fs, store.path("y"), entry).equals(TABLE)

    def test_elsewhere_it_is_a_copy(self, store: Store) -> None:
        apart = fs.SubTreeFileSystem(store.base, store.fs)
        entry = write_table(apart, "x", TABLE)
        share(apart, f"x/{entry.name}", f"y/{entry.name}")
        assert read_table(apart, "y", entry).equals(TABLE)
        assert not Path(store.path("x", entry.name)).samefile(store.path("y", entry.name))

    def test_a_file_that_is_missing_is_named(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"none\.parquet is listed but missing"):
            share(store.fs, store.path("x", "none.parquet"), store.path("y", "none.parquet"))
