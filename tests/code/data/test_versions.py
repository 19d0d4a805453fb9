"""Which rows are events, corrections and deletions."""

from typing import Any

import pyarrow as pa
import pytest

from workbench.config import ColumnConfig, DataConfig, LabelConfig, SourceConfig, SplitConfig, VersionsConfig
from workbench.data import declaration
from workbench.data.contracts import REASONS, Context, contract_of, with_reasons
from workbench.data.versions import Versions, asked_columns

COLUMNS = {
    "id": ColumnConfig("integer"),
    "at": ColumnConfig("timestamp"),
    "known": ColumnConfig("timestamp"),
    "op": ColumnConfig("string", nulls=True),
}
VERSIONS = Versions("id", "known", "op", "delete")


def described(**changes: Any) -> DataConfig:
    given = {"known_time": "known", "columns": COLUMNS, "versions": VersionsConfig("op", "delete"), **changes}
    return DataConfig(
        name="x", source=SourceConfig("benchmark"), id="id", event_time="at",
        label=LabelConfig(delay_days=1), split=SplitConfig("time"), **given,
    )  # fmt: skip


def rows(*said: tuple[int, int, str | None]) -> pa.Table:
    """(id, known at, operation) of each."""
    ids, known, operations = zip(*said, strict=True) if said else ((), (), ())
    clock = pa.array(known, pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table(
        {"id": pa.array(ids, pa.int64()), "at": clock, "known": clock, "op": pa.array(operations, pa.string())}
    )


SAID = rows((7, 3, None), (7, 1, "insert"), (8, 5, None), (7, 2, "delete"), (9, 4, "delete"), (9, 6, None))


def test_the_first_known_version_is_the_event_unless_it_is_a_deletion() -> None:
    assert VERSIONS.events(SAID).equals(SAID.take([1, 2]))


def test_what_is_known_later_comes_in_the_order_in_which_it_is_known() -> None:
    assert VERSIONS.later(SAID).equals(SAID.take([3, 0, 5]))


def test_events_corrections_and_deletions_add_up_to_the_rows() -> None:
    assert VERSIONS.counts(SAID) == {"events": 2, "corrections": 2, "deletions": 2}
    assert VERSIONS.counts(rows()) == {"events": 0, "corrections": 0, "deletions": 0}


def test_of_versions_that_are_known_at_once_the_first_row_is_the_event() -> None:
    assert VERSIONS.events(rows((7, 1, "a"), (7, 1, "b")))["op"].to_pylist() == ["a"]


def test_a_number_may_say_that_a_fact_is_deleted() -> None:
    table = SAID.set_column(3, "op", pa.array([0, 1, None, 10, 1, 0]))
    assert Versions("id", "known", "op", "1").gone(table).tolist() == [False, True, False, False, True, False]
    assert not Versions("id", "known").gone(table).any()


def test_an_event_has_no_column_that_says_what_became_of_it() -> None:
    assert list(asked_columns(described())) == ["id", "at", "known"]
    assert list(asked_columns(described(versions=None))) == ["id", "at", "known", "op"]


def test_id_and_known_time_together_are_unique_and_a_deletion_needs_no_other_value() -> None:
    data = described()
    table = SAID.set_column(1, "at", pa.array([None, 1, 2, None, 4, 5], pa.timestamp("us", "UTC")))
    twice = rows((7, 2, None), (8, 9, None)).select(["id", "known"])
    checked = with_reasons(table, contract_of(data), Context(versions=Versions.of(data), twice=twice))
    assert checked[REASONS].to_pylist() == [["at: null"], [], [], ["id: not unique at its known time"], [], []]


class TestDeclaration:
    def test_a_sound_one_has_no_faults(self) -> None:
        assert list(declaration.faults(described())) == []
        assert list(declaration.faults(described(versions=VersionsConfig()))) == []

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"known_time": None}, "data.versions needs data.known_time"),
            ({"numbered": True}, "data.numbered=true makes a new one"),
            ({"versions": VersionsConfig("op")}, "operation and deleted belong together"),
            ({"versions": VersionsConfig(deleted="x")}, "operation and deleted belong together"),
            ({"versions": VersionsConfig("what", "x")}, "data.versions.operation=what names no column"),
            ({"versions": VersionsConfig("id", "1")}, "data.versions.operation=id has another role already"),
            ({"columns": {**COLUMNS, "id": ColumnConfig("integer", unique=True)}}, "lets an id come again"),
            ({"columns": {**COLUMNS, "op": ColumnConfig("number")}}, "data.versions.operation=op is of type number"),
        ],
    )
    def test_each_fault_is_named(self, changes: dict[str, Any], fault: str) -> None:
        (found,) = declaration.faults(described(**changes))
        assert fault in found
