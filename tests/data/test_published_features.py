"""The 15 published features over the whole benchmark, against pandas' own rolling windows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from workbench.data import labels
from workbench.data.store import Store
from workloads import door, featurize, ingest, validate

DAYS = (1, 7, 30)
DELAY = 7


def rolled(rows: pd.DataFrame, by: str, what: str, days: int, how: str) -> np.ndarray:
    """A rolling window per card or terminal, the row itself included, in the order of `rows` (time, then id)."""
    windows = rows.set_index("event_time").groupby(by, sort=False)[what].rolling(f"{days}D")
    found = getattr(windows, how)().to_numpy()  # group after group, rows of a group in their order
    order = np.concatenate(list(rows.groupby(by, sort=False).indices.values()))
    result = np.empty(len(rows))
    result[order] = found
    return result


def published(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """The features by the published formulas: risk and count of a terminal are differences of two windows."""
    rows = rows.assign(one=1.0)
    found = {
        "amount_minor": rows["amount_minor"].to_numpy(float),
        "during_weekend": (rows["event_time"].dt.day_of_week >= 5).to_numpy(float),
        "during_night": (rows["event_time"].dt.hour <= 6).to_numpy(float),
    }
    late = {what: rolled(rows, "terminal_id", what, DELAY, "sum") for what in ("one", "label")}
    for days in DAYS:
        found[f"customer_count_{days}d"] = rolled(rows, "customer_id", "one", days, "sum")
        found[f"customer_mean_amount_{days}d"] = rolled(rows, "customer_id", "amount_minor", days, "mean")
        count = rolled(rows, "terminal_id", "one", DELAY + days, "sum") - late["one"]
        frauds = rolled(rows, "terminal_id", "label", DELAY + days, "sum") - late["label"]
        found[f"terminal_count_{days}d"] = count
        found[f"terminal_risk_{days}d"] = np.divide(frauds, count, out=np.zeros(len(rows)), where=count > 0)
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_all_rows_have_the_published_features(tmp_path: Path) -> None:
    cfg = door.composed([f"storage.root={tmp_path / 'store'}", "tracker=disabled"])
    ours = featurize.table(featurize.run(cfg), [cfg.data.id, *published_names()]).to_pandas()
    events = validate.run(cfg)
    history = labels.newest(labels.read(Store(cfg.storage.root), ingest.key(cfg)), cfg.data.id)
    rows = featurize.table(
        events, [cfg.data.id, "event_time", "customer_id", "terminal_id", "amount_minor"]
    ).to_pandas()
    rows["label"] = pc.cast(history.sort_by(cfg.data.id)["label"], "float64").to_numpy()
    order = np.lexsort((rows[cfg.data.id], rows["event_time"]))
    theirs = published(rows.iloc[order].reset_index(drop=True))
    assert len(rows) == 1_754_155
    for name, values in theirs.items():
        mine = ours[name].to_numpy()[order]
        if "mean" in name or "risk" in name:
            np.testing.assert_allclose(mine, values, rtol=1e-9, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(mine, values, err_msg=name)


def published_names() -> list[str]:
    """The names of the 15."""
    windowed = ("customer_count", "customer_mean_amount", "terminal_count", "terminal_risk")
    return [
        "amount_minor",
        "during_weekend",
        "during_night",
        *(f"{name}_{days}d" for name in windowed for days in DAYS),
    ]
