"""Small data sets that several steps' tests use."""

from pathlib import Path
from typing import Any

from workbench.config import (
    BenchmarkConfig,
    ColumnConfig,
    Config,
    DataConfig,
    LabelConfig,
    SourceConfig,
    StorageConfig,
)
from workloads import door

ORDERS = """Order,Paid,Card,Total,Chargeback
a1,2020-01-01 10:00:00,x,12.34,no
a2,2020-01-02 10:00:00,x,0.10,yes
a3,2020-01-03 10:00:00,y,999,
a4,2020-01-04 10:00:00,y,5,no
"""


def benchmark_config(folder: Path, **size: Any) -> Config:
    """The payments' data set at a size of some thousand rows."""
    cfg = door.composed(["experiment=smoke", f"storage.root={folder}"])
    cfg.data.source.benchmark = BenchmarkConfig(
        **{"customers": 60, "terminals": 90, "days": 40, "radius": 20.0, **size}
    )
    return cfg


def orders_config(folder: Path, text: str = ORDERS, **columns: ColumnConfig) -> Config:
    """A user's own CSV with column names of its own."""
    (folder / "orders.csv").write_text(text)
    data = DataConfig(
        name="orders",
        source=SourceConfig(kind="file", path=str(folder / "orders.csv")),
        id="order",
        event_time="paid_at",
        entities=["card"],
        columns={
            "order": ColumnConfig("string", source="Order"),
            "paid_at": ColumnConfig("timestamp", source="Paid", ordered=True),
            "card": ColumnConfig("string", source="Card", nulls=False),
            "amount": ColumnConfig("money", source="Total", minimum=0),
            **columns,
        },
        label=LabelConfig(column="Chargeback", positive="yes", negative="no", delay_days=30),
    )
    return Config(name="orders", data=data, storage=StorageConfig(root=str(folder / "store")))
