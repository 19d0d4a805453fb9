"""Bring a source into the store: events as an immutable snapshot, labels into the ledger.

Reads:  the benchmark's generator, or CSV, Parquet or JSON lines (`data.source`)
Writes: raw snapshot (events without labels); label ledger, seeded with what the source knows
Run:    python -m workloads.ingest data=lending_club
"""

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config, DataConfig
from workbench.data import benchmark, labels, snapshots, sources
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workloads import door

VERSION = 1


def key(cfg: Config) -> str:
    """The name of the raw snapshot: it changes with the source's content and with how its columns are read."""
    return digest("ingest", VERSION, inputs(cfg.data))


def inputs(data: DataConfig) -> dict[str, Any]:
    """What the raw snapshot depends on."""
    columns = {name: [column.type, column.source] for name, column in data.columns.items()}
    roles = [data.id, data.numbered, data.event_time, data.known_time, data.clock, data.label]
    content: Any = data.source.benchmark
    if data.source.kind == "file":
        content = [[file.path, file.format, file.stamp] for file in sources.list_files(data)]
    return {"name": data.name, "kind": data.source.kind, "content": content, "columns": columns, "roles": roles}


def run(cfg: Config) -> Artifact:
    """The raw snapshot of the configured source."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("raw", name):
        return done
    events, label, scenario = _read(cfg.data)
    ledger_rows = _ledger_rows(cfg.data, events, label, scenario)
    # The ledger first: a snapshot that exists always has its labels, and a repeated seeding changes nothing.
    labels.ledger(store, name).append(ledger_rows, app_id=f"ingest-{name}", version=1)
    figures = {"rows": events.num_rows, "labels": _counts(ledger_rows["label"]), "scenarios": _counts(scenario)}
    return snapshots.write(store, "raw", name, events, parents={}, config=inputs(cfg.data), figures=figures)


def _read(data: DataConfig) -> tuple[pa.Table, pa.ChunkedArray, pa.ChunkedArray]:
    """Events, label (null: none) and scenario of every row."""
    if data.source.kind == "benchmark":
        events, truth = benchmark.generate(data.source.benchmark)
        scenario = pc.if_else(pc.greater(truth["scenario"], 0), truth["scenario"].cast(pa.string()), None)
        return sources.finished(data, events, 0), truth["label"], scenario
    tables, label = sources.read_all(data)
    return pa.concat_tables(tables), pa.chunked_array([label]), pa.chunked_array([pa.nulls(len(label), pa.string())])


def _ledger_rows(data: DataConfig, events: pa.Table, label: pa.ChunkedArray, scenario: pa.ChunkedArray) -> pa.Table:
    known = pc.is_valid(label)
    times = events[data.event_time].filter(known)
    delay = pa.scalar(round(data.label.delay_days * 86_400e6), pa.duration("us"))
    return labels.rows(
        data.id,
        events[data.id].filter(known),
        label.filter(known),
        times,
        pc.add(times, delay),
        source=data.name,
        channel="source",
        scenario=scenario.filter(known),
        recorded_at=dt.datetime.now(dt.UTC),
    )


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    return {str(one["values"]): one["counts"] for one in values.drop_null().value_counts().to_pylist()}


if __name__ == "__main__":
    door.main(run, __doc__)
