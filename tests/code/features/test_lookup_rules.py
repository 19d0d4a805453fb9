"""What is wrong with a table's definition or a lookup says key, value, rule and remedy; all of it is told at once."""

import copy
from typing import Any

import pytest

from tests.code.features.test_lookups import DATA, FEATURES, TABLE, TEXT, WHOLE
from workbench.config import ColumnConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.errors import ConfigError
from workbench.features.definitions import FeatureSet

NEEDED = "needs a value in every row. Remove it."
TAKES = "lookup takes integer or number or money or string"
COLUMNS = "features.tables.shops.columns"


def faults(features: list[FeatureConfig] = FEATURES, columns: dict[str, Any] | None = None, **table: Any) -> list[str]:
    changed = copy.deepcopy(TABLE)
    changed.columns.update(columns or {})
    for key, value in table.items():
        setattr(changed, key, value)
    config = FeaturesConfig(views=[ViewConfig("v", features=features)], tables={"shops": changed})
    with pytest.raises(ConfigError) as error:
        FeatureSet.of(config, DATA)
    return [line.removeprefix("  - ") for line in str(error.value).splitlines()[1:]]


def lookup(column: str | None = "risk", table: str | None = "shops", **more: Any) -> list[FeatureConfig]:
    return [FeatureConfig("f", "lookup", column, table=table, **{"empty": 0.0, **more})]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"key": []},
            ["features.tables.shops.key is empty. Name the columns of the events that say which rows are meant."],
        ),
        (
            {"key": ["shop", "shop"]},
            ["features.tables.shops.key=['shop', 'shop'] names a column twice. Name each once."],
        ),
        (
            {"key": ["town"]},
            [
                f"features.tables.shops.key=town names no column. Add it to {COLUMNS} or correct the name.",
                "features.tables.shops.key=town names no column of the data. Use some of: id, time, shop, area.",
            ],
        ),
        (
            {"columns": {"shop": TEXT}},
            [f"{COLUMNS}.shop.type=string, but data.columns.shop is integer."],
        ),
        (
            {"columns": {"shop": ColumnConfig("integer", nulls=True)}},
            [f"{COLUMNS}.shop.nulls=true, but features.tables.shops.key {NEEDED}"],
        ),
        (
            {"valid_from": "begin"},
            [f"features.tables.shops.valid_from=begin names no column. Add it to {COLUMNS} or correct the name."],
        ),
        (
            {"valid_from": "until"},
            [f"{COLUMNS}.until.nulls=true, but features.tables.shops.valid_from {NEEDED}"],
        ),
        (
            {"valid_until": "rate"},
            ["features.tables.shops.valid_until=rate is of type number. Use a column of type timestamp."],
        ),
        (
            {"known_time": "rate", "columns": {"rate": WHOLE}},
            ["features.tables.shops.known_time=rate is of type integer. Use a column of type timestamp."],
        ),
        (
            {"columns": {"rate": ColumnConfig("float")}},
            [
                f"{COLUMNS}.rate.type=float is unknown. Use one of: integer, number, money, string, timestamp.",
                f"features.views[v].rate.column=rate is of type float; {TAKES}.",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_table(wrong: dict[str, Any], said: list[str]) -> None:
    assert faults(**wrong) == said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            lookup(column=None),
            f".column=None is no column of shops. Use one of: {', '.join(TABLE.columns)}.",
        ),
        (
            lookup(column="since"),
            f".column=since is of type timestamp; {TAKES}.",
        ),
        (lookup(column="area"), f".column=area has no categories. Declare {COLUMNS}.area.categories."),
        (lookup(column="shop"), ".column=shop is an entity: its value can be no feature. Use another column."),
        (lookup(empty=None), ".empty is not set. Say which value lookup has where there is nothing, such as empty: 0."),
        (lookup(where="id > 1"), ".where=id > 1 filters a window's events, and lookup has no window. Leave it out."),
        (lookup(function="a:b"), ".function=a:b is not used by lookup. Leave it out."),
    ],
)
def test_what_is_wrong_with_a_lookup(wrong: list[FeatureConfig], said: str) -> None:
    assert faults(wrong) == [f"features.views[v].f{said}"]


def test_a_table_that_is_named_wrongly_is_missed_and_the_other_is_left_over() -> None:
    assert faults(lookup(table="shop")) == [
        "features.tables.shops is used by no feature. Look it up, or leave it out.",
        "features.views[v].f.table=shop is none of features.tables. Use one of: shops.",
    ]


def test_all_faults_of_tables_and_features_are_told_at_once() -> None:
    found = faults([*lookup(column="x"), *FEATURES], key=[], valid_until="x", columns={"rate": ColumnConfig("float")})
    assert len(found) == 5
