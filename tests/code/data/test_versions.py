"""Which rows are events, corrections and deletions."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.config import ColumnConfig, DataConfig, LabelConfig, SourceConfig, SplitConfig, VersionsConfig
from workbench.data import declaration, snapshots
from workbench.data.contracts import REASONS, Context, contract_of, with_reasons
from workbench.data.store import Store
from workbench.data.versions import GONE, Versions, asked_columns

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


def test_the_first_known_version_that_is_no_deletion_is_the_event() -> None:
    assert VERSIONS.events(SAID).equals(SAID.take([1, 2, 5]))


def test_what_is_known_later_comes_in_the_order_in_which_it_is_known() -> None:
    assert VERSIONS.later(SAID).equals(SAID.take([3, 0]))


def test_a_deletion_of_what_was_not_there_says_nothing() -> None:
    marked = VERSIONS.marked(SAID)
    assert marked.drop_columns([GONE]).equals(SAID.take([0, 1, 2, 3, 5]))
    assert marked[GONE].to_pylist() == [False, False, False, True, False]


def test_events_corrections_and_deletions_add_up_to_the_rows() -> None:
    assert VERSIONS.counts(SAID) == {"events": 3, "corrections": 1, "deletions": 2}
    assert VERSIONS.counts(rows()) == {"events": 0, "corrections": 0, "deletions": 0}


def test_of_versions_that_are_known_at_once_the_first_row_is_the_event() -> None:
    assert VERSIONS.events(rows((7, 1, "a"), (7, 1, "b")))["op"].to_pylist() == ["a"]


@pytest.mark.usefixtures("ray_session")
def test_all_versions_are_read_of_the_events_that_met_a_condition_when_they_were_asked(store: Store) -> None:
    said = rows(
        (1, 1, None), (1, 5, None), (2, 2, None), (2, 9, "delete"), (3, 4, None), (3, 6, None), (4, 3, "delete")
    )
    validated = snapshots.write(store, "validated", "v", said, parents={}, config={}, rows_per_file=3)
    until = pa.scalar(4, pa.int64()).cast(pa.timestamp("us", "UTC"))
    found = VERSIONS.read(validated, pc.field("at") < until)
    assert found.equals(said.slice(0, 4)), "3 was asked later, 4 never was"
    moved = said.set_column(1, "at", pa.array([1, 1, 9, 9, 9, 1, 1], pa.int64()).cast(pa.timestamp("us", "UTC")))
    validated = snapshots.write(store, "validated", "moved", moved, parents={}, config={})
    assert VERSIONS.read(validated, pc.field("at") < until).equals(moved.slice(0, 2)), "3 came into it later"


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
