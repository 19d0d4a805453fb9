"""Snapshots on Ray Data: files are read and written in the workers, and never collected into one process."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.parquet import FileEntry, read_table, write_table
from workbench.data.snapshots import schema_of
from workbench.data.store import Artifact, Store
from workbench.errors import InputError

if TYPE_CHECKING:
    from ray.data import Dataset


def gathered(artifact: Artifact, columns: Sequence[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """The chosen columns and rows of a snapshot in this process, in the files' order; a task reads each file."""
    import ray

    read = ray.remote(read_table)
    fs, folder = artifact.store.fs, artifact.folder
    return pa.concat_tables(ray.get([read.remote(fs, folder, entry, columns, rows) for entry in artifact.files]))


def map_files(artifact: Artifact, function: Callable[[int, pa.Table], pa.Table]) -> "Dataset":
    """A lazy dataset of `function(index of the file, its rows)` for every file of a snapshot, in the files' order."""
    import ray.data

    store, folder = artifact.store, artifact.folder

    def read(batch: pa.Table) -> pa.Table:
        row = batch.to_pylist()[0]
        return function(row.pop("index"), read_table(store.fs, folder, FileEntry(**row)))

    entries = [{"index": index, **asdict(entry)} for index, entry in enumerate(artifact.files)]
    listing = ray.data.from_arrow([pa.Table.from_pylist([entry]) for entry in entries])
    return listing.map_batches(read, batch_size=None, batch_format="pyarrow")


def write(
    store: Store,
    kind: str,
    key: str,
    data: "Dataset",
    *,
    parents: dict[str, str],
    config: Any,
    figures: dict[str, Any] | None = None,
) -> Artifact:
    """A finished snapshot of a dataset: each block becomes one file, written where the block is."""
    stage = store.stage(kind, key)
    folder = stage.folder

    def write_block(block: pa.Table) -> pa.Table:
        entry = asdict(write_table(store.fs, folder, block))
        return pa.table(
            {**{name: [value] for name, value in entry.items()}, "schema": [block.schema.serialize().to_pybytes()]}
        )

    written = data.map_batches(write_block, batch_size=None, batch_format="pyarrow").take_all()
    if not written:
        raise InputError(f"{kind} {key} has no rows. Check data.source and data.split: nothing was written.")
    schema = pa.ipc.read_schema(pa.py_buffer(written[0].pop("schema")))
    entries = [FileEntry(**{k: v for k, v in row.items() if k != "schema"}) for row in written]
    stage.files = [entry for entry in entries if entry.rows]
    return stage.commit(parents, config, figures, schema_of(schema))
