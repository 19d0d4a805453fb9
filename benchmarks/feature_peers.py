"""The same features by Polars, DuckDB, pandas or Spark, in a process of its own, with an interpreter that has it.

    python benchmarks/feature_peers.py PEER INPUT_FOLDER OUTPUT

Stays up: for every line on standard input it reads the folder's Parquet files, computes, writes OUTPUT (zstd) and
answers with the seconds that this took; the first answer comes when the peer is ready. Each is written as its own
documentation would have it. A window is (t - length, t], that of a terminal ends `DELAY` days ago; no two events have
the same time.
"""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

DAYS, DELAY = (1, 7, 30), 7
DAY_US = 86_400_000_000
KEPT = ["transaction_id", "event_time", "customer_id", "terminal_id"]
NAMES = [
    f"{name}_{days}d"
    for name in ("customer_count", "customer_mean_amount", "terminal_count", "terminal_risk")
    for days in DAYS
]
Run = Callable[[str, str], None]


def polars() -> Run:
    """Rolling expressions over sorted rows, in Polars' own threads."""
    import polars as pl

    def rolling(column: str, days: int, entity: str) -> pl.Expr:
        return pl.col(column).rolling_sum_by("event_time", f"{days}d").over(entity)

    def past(column: str, days: int) -> pl.Expr:
        return pl.col(f"{column}_{DELAY + days}") - pl.col(f"{column}_{DELAY}")

    def run(source: str, target: str) -> None:
        rows = pl.scan_parquet(f"{source}/*.parquet").select(*KEPT, "amount_minor", pl.col("label").cast(pl.Int64))
        rows = rows.with_columns(one=pl.lit(1, pl.Int64)).sort("customer_id", "event_time")
        customers = [rolling("one", d, "customer_id").cast(pl.Float64).alias(f"customer_count_{d}d") for d in DAYS]
        sums = [rolling("amount_minor", d, "customer_id").alias(f"sum_{d}") for d in DAYS]
        means = [
            (pl.col(f"sum_{d}") / pl.col(f"customer_count_{d}d")).alias(f"customer_mean_amount_{d}d") for d in DAYS
        ]
        rows = rows.with_columns(*customers, *sums).with_columns(means).sort("terminal_id", "event_time")
        reaches = [DELAY, *(DELAY + d for d in DAYS)]
        rows = rows.with_columns(
            rolling(column, d, "terminal_id").alias(f"{column}_{d}") for column in ("one", "label") for d in reaches
        )
        counts = [past("one", d).cast(pl.Float64).alias(f"terminal_count_{d}d") for d in DAYS]
        risks = [(past("label", d) / past("one", d)).fill_nan(0.0).alias(f"terminal_risk_{d}d") for d in DAYS]
        done = rows.with_columns(*counts, *risks).select(*KEPT, *NAMES)
        done.collect().write_parquet(target, compression="zstd", compression_level=1)

    return run


def _sql(table: str, micros: str) -> str:
    """The features as windows of SQL; times are integers, so that an open end is one microsecond less."""
    selected, windows = [], []
    for d in DAYS:
        selected += [
            f"CAST(count(*) OVER c{d} AS DOUBLE) AS customer_count_{d}d",
            f"CAST(sum(amount_minor) OVER c{d} AS DOUBLE) / count(*) OVER c{d} AS customer_mean_amount_{d}d",
            f"CAST(count(*) OVER t{d} AS DOUBLE) AS terminal_count_{d}d",
            f"coalesce(CAST(sum(label) OVER t{d} AS DOUBLE) / nullif(count(*) OVER t{d}, 0), 0) AS terminal_risk_{d}d",
        ]
        first, last = (DELAY + d) * DAY_US - 1, DELAY * DAY_US
        windows += [
            f"c{d} AS (PARTITION BY customer_id ORDER BY us RANGE BETWEEN {d * DAY_US - 1} PRECEDING AND CURRENT ROW)",
            f"t{d} AS (PARTITION BY terminal_id ORDER BY us RANGE BETWEEN {first} PRECEDING AND {last} PRECEDING)",
        ]
    rows = f"(SELECT *, {micros}(event_time) AS us FROM {table})"  # noqa: S608 - our own words
    return f"SELECT {', '.join(KEPT + selected)} FROM {rows} WINDOW {', '.join(windows)}"  # noqa: S608 - our own words


def duckdb() -> Run:
    """One SQL statement, in DuckDB's own threads."""
    import duckdb

    def run(source: str, target: str) -> None:
        query = _sql(f"read_parquet('{source}/*.parquet')", "epoch_us")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
            connection.execute(f"SET temp_directory = '{target}.tmp'")
            connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")

    return run


def pandas() -> Run:
    """A function for each customer's and each terminal's rows, with time-based `rolling`, as the handbook does it."""
    import pandas as pd

    def customer(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.sort_index()
        for d in DAYS:
            window = rows["amount_minor"].rolling(f"{d}D")
            rows[f"customer_count_{d}d"] = window.count()
            rows[f"customer_mean_amount_{d}d"] = window.sum() / rows[f"customer_count_{d}d"]
        return rows

    def terminal(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.sort_index()
        labels = rows["label"].astype("float64")
        late = labels.rolling(f"{DELAY}D")
        late_sum, late_count = late.sum(), late.count()
        for d in DAYS:
            window = labels.rolling(f"{DELAY + d}D")
            rows[f"terminal_count_{d}d"] = window.count() - late_count
            rows[f"terminal_risk_{d}d"] = (window.sum() - late_sum) / rows[f"terminal_count_{d}d"]
        return rows.fillna({f"terminal_risk_{d}d": 0.0 for d in DAYS})

    def run(source: str, target: str) -> None:
        rows = pd.read_parquet(source).set_index("event_time", drop=False)
        rows.index.name = "time"
        rows = rows.groupby("customer_id", group_keys=False)[rows.columns].apply(customer)
        rows = rows.groupby("terminal_id", group_keys=False)[rows.columns].apply(terminal)
        rows[KEPT + NAMES].to_parquet(target, index=False, compression="zstd")

    return run


def spark() -> Run:
    """The same SQL as DuckDB's, by a local Spark with two threads."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "4g", "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "8", "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC", "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.compression.codec": "zstd",
    }  # fmt: skip
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()

    def run(source: str, target: str) -> None:
        shutil.rmtree(target, ignore_errors=True)
        session.read.parquet(source).createOrReplaceTempView("events")
        session.sql(_sql("events", "unix_micros")).write.parquet(target)

    return run


PEERS: dict[str, Callable[[], Run]] = {"polars": polars, "duckdb": duckdb, "pandas": pandas, "spark": spark}
PACKAGES = {name: {"spark": "pyspark"}.get(name, name) for name in PEERS}


def main() -> None:
    """Serve the lines of standard input."""
    peer, source, target = sys.argv[1:]
    run = PEERS[peer]()
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run(source, target)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
