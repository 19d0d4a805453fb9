"""Slow dimensions: the files of a table as typed rows that hold their contract, in a snapshot of kind `dimensions`."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import DataConfig, LabelConfig, SourceConfig, TableConfig
from workbench.data import contracts, snapshots, sources
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import InputError, raise_all

VERSION = 1
MOST_ROWS = 1_000_000  # every worker and replica holds the whole table
HEADING = "features.tables cannot be used:"
Tables = Mapping[str, TableConfig]


def keys(tables: Tables) -> dict[str, str]:
    """The name of each table's snapshot: it changes with the content of its files and with its columns."""
    found, faults = {}, []
    for name, table in tables.items():
        try:
            found[name] = digest("dimensions", VERSION, _inputs(name, table))
        except InputError as error:
            faults.append(_said(name, str(error)))
    raise_all(InputError, HEADING, faults)
    return found


def snapshot_all(store: Store, tables: Tables) -> dict[str, Artifact]:
    """The snapshot of each table; raises one `InputError` with every fault of every file."""
    named = keys(tables)
    missing = {name: table for name, table in tables.items() if store.find("dimensions", named[name]) is None}
    read = {name: _read(name, table) for name, table in missing.items()}
    raise_all(InputError, HEADING, [fault for _, faults in read.values() for fault in faults])
    for name, (rows, _) in read.items():
        config = _inputs(name, tables[name])
        figures = {"rows": rows.num_rows}
        snapshots.write(store, "dimensions", named[name], rows, parents={}, config=config, figures=figures)
    return {name: store.get("dimensions", one) for name, one in named.items()}


def _inputs(name: str, table: TableConfig) -> dict[str, Any]:
    content = [[file.name, file.format, file.stamp] for file in sources.list_files(_as_data(name, table))]
    columns = {one: dataclasses.asdict(column) for one, column in table.columns.items()}
    return {"content": content, "columns": columns, "ignore": table.ignore, "nulls": table.nulls}


def _as_data(name: str, table: TableConfig) -> DataConfig:
    """The table as a data set that has neither ids nor labels."""
    source = SourceConfig("file", table.path, table.format, table.ignore, table.nulls)
    return DataConfig(name, source, table.columns, id="", event_time="", label=LabelConfig(delay_days=0))


def _read(name: str, table: TableConfig) -> tuple[pa.Table, list[str]]:
    """The rows of all files in the order of the files' names, and what is wrong with them."""
    data = _as_data(name, table)
    files = [sources.read_file(data, file) for file in sources.list_files(data)]
    if faults := [fault for file in files for fault in file.faults]:
        return pa.table({}), [_said(name, fault) for fault in faults]
    # Only a file with a misfit has a column of misfits: in the others it is null, nothing is amiss there.
    rows = pa.concat_tables([file.events for file in files], promote_options="default")
    return rows, list(_row_faults(f"features.tables.{name}", rows, table))


def _row_faults(where: str, rows: pa.Table, table: TableConfig) -> Iterator[str]:
    if not rows.num_rows:
        yield f"{where}.path={table.path} holds no rows. Use a file with rows."
    if rows.num_rows > MOST_ROWS:
        yield (
            f"{where}.path={table.path} holds {rows.num_rows:,} rows; {MOST_ROWS:,} are the most that every worker can"
            " hold. Keep what changes slowly, and make events of the rest."
        )
    repeated = {name: _repeated(rows[name]) for name, column in table.columns.items() if column.unique}
    numbered = rows.append_column("__row", pa.array(np.arange(rows.num_rows)))
    marked = contracts.with_reasons(numbered, table.columns, contracts.Context(repeated=repeated))
    for one in contracts.violations(marked, "__row"):
        yield (
            f"{where}.columns.{one.column}: {one.count:,} rows break the rule {one.rule!r}, first {one.example!r} in"
            f" row {one.id}. Correct the file or the rule."
        )


def _repeated(values: pa.ChunkedArray) -> pa.Array:
    counts = values.drop_null().combine_chunks().value_counts()
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _said(name: str, fault: str) -> str:
    """A fault of a source in the words of the table's own keys."""
    where = f"features.tables.{name}"
    said = fault.replace("data.source.", f"{where}.").replace("data.columns", f"{where}.columns")
    return said if said.startswith(where) else f"{where}: {said}"
