"""Which rules and roles a column may have, for every type of column."""

from typing import Any

import pytest

from workbench.config import ColumnConfig, DataConfig, LabelConfig, SourceConfig, SplitConfig
from workbench.data import declaration
from workbench.data.casting import ARROW_TYPES
from workbench.data.declaration import COLUMN_TYPES, ROLES, RULES
from workbench.features import reserved

VALUES: dict[str, Any] = {"minimum": 0, "maximum": 0, "categories": [], "unique": True, "ordered": True}


def described(**changes: Any) -> DataConfig:
    columns = {"id": ColumnConfig("integer"), "at": ColumnConfig("timestamp"), "x": ColumnConfig("string")}
    data = DataConfig(
        name="x",
        source=SourceConfig("benchmark"),
        columns=columns,
        id="id",
        event_time="at",
        label=LabelConfig(delay_days=1),
        split=SplitConfig("time"),
    )
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def faults(**changes: Any) -> list[str]:
    return list(declaration.faults(described(**changes)))


def test_the_plainest_data_set_is_sound() -> None:
    assert faults() == []


def test_every_declared_type_has_an_arrow_type_and_every_rule_a_value_here() -> None:
    assert set(COLUMN_TYPES) == set(ARROW_TYPES)
    assert set(RULES) == set(VALUES)


@pytest.mark.parametrize("kind", COLUMN_TYPES)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_for_some_types_and_refused_for_others_even_where_it_is_zero_or_empty(rule: str, kind: str) -> None:
    columns = {**described().columns, "x": ColumnConfig(kind, **{rule: VALUES[rule]})}
    found = faults(columns=columns)
    if kind in RULES[rule]:
        assert found == []
    else:
        assert found == [
            f"data.columns.x.{rule} is for {', '.join(RULES[rule])}; this column is of type {kind}. Remove it."
        ]


@pytest.mark.parametrize("kind", COLUMN_TYPES)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_for_some_types_and_refused_for_others(role: str, kind: str) -> None:
    columns = {**described().columns, "x": ColumnConfig(kind)}
    found = faults(columns=columns, **{role: ["x"] if role == "entities" else "x"})
    assert [fault.partition("=")[0] for fault in found] == ([] if kind in ROLES[role] else [f"data.{role}"])


@pytest.mark.parametrize("role", ROLES)
def test_only_the_amount_may_be_null(role: str) -> None:
    columns = {**described().columns, "x": ColumnConfig(ROLES[role][0], nulls=True)}
    found = faults(columns=columns, **{role: ["x"] if role == "entities" else "x"})
    assert (found == []) == (role == "amount")


@pytest.mark.parametrize("name", reserved.ADDED)
@pytest.mark.parametrize("role", ["id", "event_time", "entities"])
def test_a_role_has_no_name_that_the_feature_snapshot_gives_a_column_of_its_own(role: str, name: str) -> None:
    columns = {**described().columns, name: ColumnConfig(ROLES[role][0])}
    (found,) = faults(columns=columns, **{role: [name] if role == "entities" else name})
    assert found == (
        f"data.{role}={name} is a name of the feature snapshot's own columns (label, label_known_time, part, place,"
        f" draw, score). Declare it as {name}_value, with source: {name} where the file calls it so."
    )
    assert faults(columns=columns) == [], "without a role it is left out of that snapshot"


def test_a_column_is_the_known_time_only_where_it_is_said_to_be() -> None:
    columns = {**described().columns, "known_time": ColumnConfig("timestamp")}
    (found,) = faults(columns=columns)
    assert found.startswith("data.columns.known_time would be taken for the known time, but data.known_time=null says")
    assert found.endswith("Set data.known_time=known_time, or rename the column.")
    assert faults(columns=columns, known_time="known_time") == []
    assert faults(columns=columns, known_time="at") == [], "then it is a column like any other"
    assert faults(columns=columns, event_time="known_time") == [], "the event time is what it would be taken for"


def test_each_entity_is_looked_at() -> None:
    found = faults(entities=["x", "nobody", "at"])
    assert [fault.split()[0] for fault in found] == ["data.entities=nobody", "data.entities=at"]


@pytest.mark.parametrize(("decimals", "sound"), [(-1, False), (0, True), (6, True), (7, False)])
def test_decimals_are_from_0_to_6(decimals: int, sound: bool) -> None:
    assert (faults(columns={**described().columns, "m": ColumnConfig("money", decimals=decimals)}) == []) == sound


def test_without_columns_every_role_is_missing_too() -> None:
    assert [fault.split()[0] for fault in faults(columns={})] == ["data.columns", "data.id=id", "data.event_time=at"]


def test_what_only_a_file_needs_is_asked_of_files_only() -> None:
    label = LabelConfig(column="fraud", delay_days=1)
    assert faults(label=label) == []
    found = faults(label=label, source=SourceConfig("file"))
    assert [fault.partition(" is not set")[0] for fault in found] == ["data.source.path", "data.label.positive"]


def test_a_label_under_its_name_in_the_file_is_found_among_the_columns() -> None:
    columns = {**described().columns, "x": ColumnConfig("string", source="Chargeback")}
    source = SourceConfig("file", path="x.csv")
    for column, said in (("Chargeback", 1), ("x", 0)):
        found = faults(columns=columns, source=source, label=LabelConfig(column, positive="yes", delay_days=1))
        assert len(found) == said
