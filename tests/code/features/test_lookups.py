"""A lookup finds one row by one rule, offline and online, and gives the same bits."""

import dataclasses
import json
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle
from workbench.config import (
    ColumnConfig,
    DataConfig,
    FeatureConfig,
    FeaturesConfig,
    LabelConfig,
    TableConfig,
    ViewConfig,
)
from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.join import AsOf
from workbench.features.online import OnlineState
from workbench.features.tables import Table

TEXT, WHOLE, TIME = ColumnConfig("string"), ColumnConfig("integer"), ColumnConfig("timestamp")
DATA = DataConfig(
    name="x", id="id", event_time="time", entities=["shop"], label=LabelConfig(delay_days=1),
    columns={"id": WHOLE, "time": TIME, "shop": dataclasses.replace(WHOLE, nulls=True), "area": TEXT},
)  # fmt: skip
TABLE = TableConfig(
    path="shops.csv", key=["shop", "area"], valid_from="since", valid_until="until", known_time="told",
    columns={
        "shop": WHOLE, "area": TEXT, "since": TIME, "until": dataclasses.replace(TIME, nulls=True), "told": TIME,
        "risk": ColumnConfig("string", categories=["low", "high"], nulls=True),
        "rate": ColumnConfig("number", nulls=True),
    },
)  # fmt: skip
FEATURES = [
    FeatureConfig("risk", "lookup", "risk", table="shops", empty=-1),
    FeatureConfig("rate", "lookup", "rate", table="shops", empty=-0.5),
]
WINDOWED = ViewConfig("w", ["shop"], ["1d"], features=[FeatureConfig("n", "count")])


def defined(*more: ViewConfig) -> FeatureSet:
    return FeatureSet.of(
        FeaturesConfig(views=[ViewConfig("v", features=FEATURES), *more], tables={"shops": TABLE}), DATA
    )


SET = defined()


def random_case(seed: int, rows: int = 120) -> tuple[pa.Table, Table]:
    """Events of few shops, some null or unknown; spans that overlap, are corrected, known late, open or without end."""
    random = np.random.default_rng(seed)
    many = 1 + rows // 2
    since = random.integers(0, 12, many) * 3
    until = pa.array(since + random.integers(0, 30, many), mask=random.random(many) < 0.5)
    table = pa.table(
        {
            "area": np.array(["n", "s"])[random.integers(0, 2, many)],
            "shop": pa.array(random.integers(0, 5, many), mask=random.random(many) < 0.1),
            "since": oracle.times(since),
            "until": until.cast(pa.timestamp("us", "UTC")),
            "told": oracle.times(since + random.integers(-5, 15, many)),
            "risk": pa.array(np.array(["low", "high"])[random.integers(0, 2, many)], mask=random.random(many) < 0.2),
            "rate": pa.array(random.normal(size=many), mask=random.random(many) < 0.2),
        }
    )
    events = pa.table(
        {
            "id": np.arange(rows),
            "time": oracle.times(random.integers(0, 45, rows)),
            "shop": pa.array(random.integers(0, 6, rows), mask=random.random(rows) < 0.1),
            "area": np.array(["n", "s", "?"])[random.integers(0, 3, rows)],
        }
    )
    return events, Table(SET.tables[0], table)


def searched(event: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row that an event finds, by looking at all."""
    held = [
        (one["since"], one["told"], place)
        for place, one in enumerate(rows)
        if one["shop"] is not None
        and (one["shop"], one["area"]) == (event["shop"], event["area"])
        and max(one["since"], one["told"]) <= event["time"]
        and (one["until"] is None or event["time"] < one["until"])
    ]
    return rows[max(held)[2]] if held else {"risk": None, "rate": None}


def expected(event: dict[str, Any], rows: list[dict[str, Any]]) -> list[float]:
    found = searched(event, rows)
    rate = -0.5 if found["rate"] is None else found["rate"]
    return [{None: -1.0, "low": 0.0, "high": 1.0}[found["risk"]], rate]


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("d", one) for one in values]


@pytest.mark.parametrize("seed", range(20))
def test_offline_and_online_give_the_bits_of_the_row_that_a_search_finds(seed: int) -> None:
    events, table = random_case(seed)
    rows, state = oracle.plain(table.rows), OnlineState(SET, {"shops": table})
    found = offline.row_features(SET, events, {"shops": table})
    for place, event in enumerate(oracle.plain(events)):
        wanted = expected(event, rows)
        assert bits([found[name][place] for name in SET.names]) == bits(wanted)
        assert bits(state.observe(event)) == bits(wanted)
    assert len(set(found["rate"])) > 10, "there is something to find"


def at(day: float, told: float, risk: str = "low", until: float | None = None) -> dict[str, Any]:
    times = {"since": day, "until": until, "told": told}
    us = {name: None if one is None else round(one * oracle.DAY) for name, one in times.items()}
    return {"shop": 7, "area": "n", "risk": risk, "rate": 0.0, **us}


def risks(rows: list[dict[str, Any]], *days: float, shop: int | None = 7) -> list[float]:
    """The class of a shop on some days, which must be the same offline and online."""
    kinds = {"shop": pa.int64(), "area": pa.string(), "risk": pa.string(), "rate": pa.float64()}
    columns = {n: pa.array([row[n] for row in rows], kinds.get(n, pa.timestamp("us", "UTC"))) for n in TABLE.columns}
    table = {"shops": Table(SET.tables[0], pa.table(columns))}
    asked = [{"id": n, "time": round(day * oracle.DAY), "shop": shop, "area": "n"} for n, day in enumerate(days)]
    events = pa.Table.from_pylist(asked, pa.schema([("id", pa.int64()), ("time", pa.timestamp("us", "UTC")),
                                                    ("shop", pa.int64()), ("area", pa.string())]))  # fmt: skip
    online = [OnlineState(SET, table).observe(event)[0] for event in asked]
    assert offline.row_features(SET, events, table)["risk"].tolist() == online
    return online


def test_a_row_that_is_known_late_is_not_seen_before() -> None:
    assert risks([at(1, told=5)], 1, 4.9, 5, 99) == [-1, -1, 0, 0]


def test_a_correction_counts_from_when_it_is_known() -> None:
    assert risks([at(1, 1, "low"), at(1, 3, "high")], 1, 2.9, 3, 9) == [0, 0, 1, 1]


def test_of_two_rows_that_begin_and_are_known_together_the_later_one_counts() -> None:
    assert risks([at(1, 1, "low"), at(1, 1, "high")], 2) == [1]
    assert risks([at(1, 1, "high"), at(1, 1, "low")], 2) == [0]


def test_a_row_holds_until_its_end_and_then_the_one_before_it_does() -> None:
    assert risks([at(1, 1, "low"), at(2, 2, "high", until=3)], 1.9, 2, 2.9, 3) == [0, 1, 1, 0]


@pytest.mark.parametrize("shop", [None, 8])
def test_a_key_that_is_null_or_unknown_finds_nothing(shop: int | None) -> None:
    assert risks([at(1, 1)], 2, shop=shop) == [-1]


def test_a_table_without_rows_has_nothing() -> None:
    assert risks([], 1) == [-1]


def test_an_event_from_before_all_memory_is_looked_up_too() -> None:
    features = defined(WINDOWED)
    events, table = random_case(3)
    state, rows = OnlineState(features, {"shops": table}), oracle.plain(table.rows)
    state.observe({"id": -1, "time": 10_000 * oracle.DAY, "shop": 1, "area": "n"})
    for event in oracle.plain(events):
        assert state.observe(event)[:2] == expected(event, rows)


def test_the_set_holds_key_and_clocks_and_no_row_and_comes_back_from_json() -> None:
    again = FeatureSet.from_json(json.loads(json.dumps(SET.to_json())))
    assert (again, again.digest) == (SET, SET.digest)
    assert dataclasses.asdict(again.tables[0]) == {
        "name": "shops", "key": ("shop", "area"), "valid_from": "since", "valid_until": "until", "known_time": "told",
    }  # fmt: skip
    assert SET.columns == {"id", "time", "shop", "area"}, "an event needs the key, and not the table's columns"
    assert SET.looked_up == {f"features.tables.shops.columns.{name}" for name in TABLE.columns}


def test_another_clock_is_another_set() -> None:
    other = dataclasses.replace(SET, tables=(dataclasses.replace(SET.tables[0], known_time=None),))
    assert other.digest != SET.digest


def test_many_keys_over_centuries_are_told_apart() -> None:
    keys, day = np.arange(200_000), oracle.DAY
    left = pa.table({"shop": keys, "time": oracle.times(np.where(keys % 2, 80_000 * day, 0))})
    right = pa.table({"shop": keys, "since": oracle.times(np.full(len(keys), day))})
    found = AsOf(("shop",), "time", "since").places(left, right)
    assert (found == np.where(keys % 2, keys, -1)).all()
