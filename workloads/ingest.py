"""Bring a source into the store: events as an immutable snapshot, labels into the ledger.

Reads:  the benchmark's generator, or CSV, Parquet or JSON lines (`data.source`)
Writes: raw snapshot (events without labels; a value that is not of its type as text, for validation to name it); label
        ledger, seeded with what the source knows
Run:    python -m workloads.ingest data=lending_club
"""

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench import cluster
from workbench.config import Config, DataConfig
from workbench.data import distributed, labels, sources
from workbench.data.sources import Source
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workloads import door

VERSION = 2


def key(cfg: Config) -> str:
    """The name of the raw snapshot: it changes with the source's content and with how its columns are read."""
    return digest("ingest", VERSION, inputs(cfg.data))


def inputs(data: DataConfig) -> dict[str, Any]:
    """What the raw snapshot depends on."""
    columns = {name: [column.type, column.source, column.decimals] for name, column in data.columns.items()}
    roles = [data.id, data.numbered, data.event_time, data.known_time, data.clock, data.label]
    roles += [data.versions] if data.versions else []
    content: Any = data.source.benchmark
    if data.source.kind == "file":
        content = [[file.name, file.format, file.stamp] for file in sources.list_files(data)]
        content.append([data.source.ignore, data.source.nulls])
    return {"name": data.name, "kind": data.source.kind, "content": content, "columns": columns, "roles": roles}


def run(cfg: Config) -> Artifact:
    """The raw snapshot of the configured source."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("raw", name):
        return done
    cluster.up(cfg)
    source = sources.generated(cfg.data) if cfg.data.source.kind == "benchmark" else sources.read(cfg.data)
    seed = _ledger_rows(cfg.data, source)
    # The ledger first: a snapshot that exists always has its labels, and a repeated seeding changes nothing.
    labels.ledger(store, name).append(seed, app_id=f"ingest-{name}", version=1)
    figures = {"rows": len(source.labels), "labels": _counts(seed["label"]), "scenarios": _counts(seed["scenario"])}
    return distributed.write(store, "raw", name, source.events, parents={}, config=inputs(cfg.data), figures=figures)


def _ledger_rows(data: DataConfig, source: Source) -> pa.Table:
    """A ledger row for every row that has id, event time and label; it becomes known after the configured delay.

    What a later version says is not known before that version is.
    """
    known = pc.is_valid(source.labels)
    for role in source.keys.column_names:
        known = pc.and_(known, pc.is_valid(source.keys[role]))
    keys = source.keys.filter(known)
    times = keys[data.event_time]
    delay = pa.scalar(round(data.label.delay_days * 86_400e6), pa.duration("us"))
    known_times = pc.add(times, delay)
    if data.versions:
        versions = keys[str(data.known_time)]
        known_times = pc.if_else(pc.greater(versions, known_times), versions, known_times)
    seed = labels.rows(
        data.id,
        keys[data.id],
        source.labels.filter(known),
        times,
        known_times,
        source=data.name,
        channel="source",
        scenario=source.scenarios.filter(known),
        recorded_at=dt.datetime.now(dt.UTC),
    )
    return _newest_at_once(data, seed, keys[str(data.known_time)]) if data.versions else seed


def _newest_at_once(data: DataConfig, seed: pa.Table, versions: pa.ChunkedArray) -> pa.Table:
    """Of what several versions say of one event at one time, the newest version's word."""
    keys = pa.table({"id": seed[data.id], "known": seed["known_time"], "version": versions})
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names])
    ids, known = (keys[name].take(order).combine_chunks() for name in ("id", "known"))
    again = pc.and_(pc.equal(ids[1:], ids[:-1]), pc.equal(known[1:], known[:-1]))
    last = pa.concat_arrays([pc.invert(again), pa.array([True])])
    return seed.take(order.filter(last[: len(order)]))


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    counts = {str(one["values"]): one["counts"] for one in values.drop_null().value_counts().to_pylist()}
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    door.main(run, __doc__)
