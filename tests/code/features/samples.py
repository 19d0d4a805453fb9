"""A small set of definitions, facts in days, and the kernel's features in the form of the oracle's."""

from typing import Any

import numpy as np
import pyarrow as pa

from tests.code.features.oracle import DAY
from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.versions import ASKS, resolved

TIME = pa.timestamp("us", "UTC")
COLUMNS = {
    "id": ColumnConfig(type="integer"),
    "time": ColumnConfig(type="timestamp"),
    "known_time": ColumnConfig(type="timestamp"),
    "customer": ColumnConfig(type="integer", nulls=True),
    "amount": ColumnConfig(type="money", nulls=True),
}
DATA = DataConfig(
    name="small", id="id", event_time="time", known_time="known_time", entities=["customer"],
    columns=COLUMNS, label=LabelConfig(delay_days=1),
)  # fmt: skip


def small() -> FeatureSet:
    """Four aggregates of one customer, with the row itself, without it and delayed. A null amount counts as 0."""
    views = []
    for prefix, current, delay in (("now", True, "0d"), ("before", False, "0d"), ("late", False, "2d")):
        kinds = [
            FeatureConfig(f"{prefix}_count", "count"),
            FeatureConfig(f"{prefix}_sum", "sum", "amount", nulls="zero"),
            FeatureConfig(f"{prefix}_mean", "mean", "amount", nulls="zero", empty=0),
            FeatureConfig(f"{prefix}_risk", "known_positive_rate", empty=0),
        ]
        views.append(ViewConfig(prefix, ["customer"], ["1d", "3d"], delay, current, kinds))
    return FeatureSet.of(FeaturesConfig(views=views), DATA)


def own_labels() -> FeatureSet:
    """What sees labels through a window that holds the row itself."""
    kinds = [
        FeatureConfig("frauds", "known_positive_count"),
        FeatureConfig("risk", "known_positive_rate", empty=-9),
        FeatureConfig("age", "age_known_positive", empty=-9),
    ]
    view = ViewConfig("own", ["customer"], ["1d"], current_row=True, features=kinds)
    return FeatureSet.of(FeaturesConfig(views=[view]), DATA)


def events(*facts: tuple[float, float], amounts: list[int | None] | None = None, customers: str = "") -> pa.Table:
    """Events with ids 0, 1, ... of (event day, known day); each of 1 minor unit and of one customer, if not said."""
    days = np.array(facts, float).reshape(-1, 2)
    times = [pa.array((column * DAY).astype(np.int64)).cast(TIME) for column in days.T]
    named = [None if one == "-" else one for one in customers] or ["a"] * len(facts)
    return pa.table(
        {
            "id": np.arange(len(facts)),
            "time": times[0],
            "known_time": times[1],
            "customer": pa.array(named, pa.string()),
            "amount": pa.array(amounts or [1] * len(facts), pa.int64()),
        }
    )


def event(identity: Any, day: float, customer: Any = 5, amount: int | None = 10, known_day: float | None = None) -> Any:
    """One event, known when it happens if not said."""
    time, known = round(day * DAY), round((day if known_day is None else known_day) * DAY)
    return {"id": identity, "time": time, "known_time": known, "customer": customer, "amount": amount}


def labels(*said: tuple[int, int, float]) -> pa.Table:
    """What was said of ids: (id, label, known day), in the order of telling."""
    ids, label, days = zip(*said, strict=True) if said else ((), (), ())
    known = pa.array((np.array(days) * DAY).astype(np.int64)).cast(TIME)
    table = {"id": pa.array(ids, pa.int64()), "label": pa.array(label, pa.int8()), "known_time": known}
    return pa.table({**table, "recorded_at": np.arange(len(said))})


def columns_of(features: FeatureSet, table: pa.Table, known: pa.Table) -> dict[str, offline.Floats]:
    """All features of a table without versions, by name, in the order of its rows."""
    found = offline.features_of(features, table, PositiveIntervals.of(known, "id"))
    return {name: found[name] for name in features.names}


def kernel(features: FeatureSet, table: pa.Table, known: pa.Table) -> dict[int, dict[str, float]]:
    """All features of each row that asks, by its id; `gone` says which versions are deletions, where it is there."""
    versioned = "gone" in table.column_names
    facts = resolved(features, table, "gone") if versioned else table
    found = {name: values.tolist() for name, values in columns_of(features, facts, known).items()}
    asks = facts[ASKS].to_pylist() if versioned else [True] * len(facts)
    rows = [row for row, asked in enumerate(asks) if asked]
    ids = facts["id"].to_pylist()
    return {ids[row]: {name: values[row] for name, values in found.items()} for row in rows}


def wrong(found: dict[int, dict[str, float]], expected: dict[int, dict[str, float]]) -> list[tuple[object, ...]]:
    """(id, feature, found, expected) of whatever is not equal to the last bit."""
    assert found.keys() == expected.keys()
    return [
        (identity, name, found[identity][name], value)
        for identity, row in expected.items()
        for name, value in row.items()
        if found[identity][name] != value
    ]
