"""Features by brute force, one row against all others: slow, and plain enough to be believed."""

from typing import Any

import numpy as np
import pyarrow as pa

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.features.definitions import Feature, FeatureSet

DAY = 86_400_000_000
KINDS = ["count", "known_positive_rate"]


def feature_set() -> FeatureSet:
    """Windows of every sort: with and without the row itself, delayed, with sums, means and labels."""
    columns = {name: ColumnConfig(type="integer") for name in ("id", "customer")}
    columns |= {name: ColumnConfig(type="timestamp") for name in ("time", "known_time")}
    columns["amount"] = ColumnConfig(type="money")
    data = DataConfig(
        name="random",
        id="id",
        event_time="time",
        entities=["customer"],
        columns=columns,
        label=LabelConfig(delay_days=1),
    )
    kinds = [FeatureConfig(name=kind, kind=kind) for kind in KINDS]
    kinds += [FeatureConfig(name=kind, kind=kind, column="amount") for kind in ("sum", "mean")]
    views = []
    for prefix, current, delay in (("now", True, 0.0), ("before", False, 0.0), ("late", False, 2.0)):
        named = [FeatureConfig(name=f"{prefix}_{f.name}", kind=f.kind, column=f.column) for f in kinds]
        views.append(
            ViewConfig(
                name=prefix,
                entity="customer",
                windows_days=[1, 3],
                current_row=current,
                delay_days=delay,
                features=named,
            )
        )
    return FeatureSet.of(FeaturesConfig(views=views), data)


def random_data(seed: int, rows: int = 120) -> tuple[pa.Table, pa.Table]:
    """Events with ties, late arrivals and few customers; labels that are late, repeated, corrected and missing."""
    random = np.random.default_rng(seed)
    time = np.sort(random.integers(0, 16, rows)) * DAY // 2  # half days: many ties
    late = random.random(rows) < 0.2
    known = time + np.where(late, random.integers(0, 6, rows) * DAY // 4, 0)
    events = pa.table(
        {
            "id": np.arange(rows),
            "time": _times(time),
            "known_time": _times(known),
            "customer": random.integers(0, 4, rows),
            "amount": random.integers(0, 10_000, rows),
        }
    ).take(pa.array(random.permutation(rows)))
    said = random.integers(0, rows, rows)
    known_label = time[said] + random.integers(0, 12, rows) * DAY // 4
    labels = {"id": said, "label": (random.random(rows) < 0.5).astype(np.int8), "known_time": _times(known_label)}
    return events, pa.table({**labels, "recorded_at": _times(np.arange(rows))})


def compute(features: FeatureSet, events: pa.Table, labels: pa.Table) -> dict[str, list[float]]:
    """Every feature of every row, in the order of `events`."""
    rows, ledger = _rows(events), sorted(_rows(labels), key=lambda one: (one["known_time"], one["recorded_at"]))
    return {f.name: [_feature(f, row, rows, ledger) for row in rows] for f in features.features}


def _feature(feature: Feature, row: dict[str, Any], rows: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> float:
    seen = [one for one in rows if one["customer"] == row["customer"] and _visible(feature, row, one)]
    if feature.kind == "count":
        return float(len(seen))
    if feature.kind == "sum":
        return float(sum(one["amount"] for one in seen))
    if feature.kind == "mean":
        return sum(one["amount"] for one in seen) / len(seen) if seen else 0.0
    positive = sum(_label(one["id"], row["time"], ledger) == 1 for one in seen)
    return positive / len(seen) if seen else 0.0


def _in_window(feature: Feature, row: dict[str, Any], fact: dict[str, Any]) -> bool:
    end = row["time"] - feature.delay_us
    if not end - feature.window_us < fact["time"] <= end:
        return False
    if feature.delay_us or fact["time"] < row["time"]:
        return True
    return bool(fact["id"] < row["id"] or (feature.current_row and fact["id"] == row["id"]))


def _visible(feature: Feature, row: dict[str, Any], fact: dict[str, Any]) -> bool:
    own = feature.current_row and fact["id"] == row["id"]
    return _in_window(feature, row, fact) and (own or fact["known_time"] <= row["time"])


def _label(identity: int, at: int, ledger: list[dict[str, Any]]) -> int | None:
    said = [one["label"] for one in ledger if one["id"] == identity and one["known_time"] <= at]
    return said[-1] if said else None


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    times = [name for name in table.column_names if pa.types.is_timestamp(table[name].type)]
    for name in times:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    return table.to_pylist()


def _times(values: np.ndarray) -> pa.Array:
    return pa.array(values).cast(pa.timestamp("us", "UTC"))
