"""Snapshots: artifacts that hold rows, read into and written from one process. See `distributed.py` for Ray Data."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.parquet import FileEntry, read_table, write_table
from workbench.data.store import Artifact, Store


def read(artifact: Artifact, columns: Sequence[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """The chosen columns and rows of a snapshot as one table, in the order of its files."""
    entries = artifact.files
    tables = [read_table(artifact.store.fs, artifact.folder, entry, columns, rows) for entry in entries]
    return pa.concat_tables(tables) if tables else empty(artifact, columns)


def write(
    store: Store,
    kind: str,
    key: str,
    table: pa.Table,
    *,
    parents: dict[str, str],
    config: Any,
    figures: dict[str, Any] | None = None,
    rows_per_file: int = 500_000,
) -> Artifact:
    """A finished snapshot of `table`."""
    stage = store.stage(kind, key)
    starts: Iterable[int] = range(0, max(table.num_rows, 1), rows_per_file)
    stage.files = [write_table(store.fs, stage.folder, table.slice(start, rows_per_file)) for start in starts]
    return stage.commit(parents, config, figures, schema_of(table.schema))


def schema_of(schema: pa.Schema) -> list[list[str]]:
    """A schema as a manifest lists it: name and type of each column."""
    return [[column.name, str(column.type)] for column in schema]


def empty(artifact: Artifact, columns: Sequence[str] | None = None) -> pa.Table:
    """A table without rows that has the snapshot's columns (all null type: no file says more)."""
    names = [name for name, _ in artifact.manifest["schema"] if columns is None or name in columns]
    return pa.table({name: pa.nulls(0) for name in names})


def read_file(artifact: Artifact, entry: FileEntry, columns: Sequence[str] | None = None) -> pa.Table:
    """The chosen columns of one of the files of an artifact."""
    return read_table(artifact.store.fs, artifact.folder, entry, columns)
