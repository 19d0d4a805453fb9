"""From a user's files to typed events and labels, as a data set's YAML says; every fault of every file in one error.

CSV, Parquet and JSON lines; a file or a folder; local or s3://. One Ray task reads one file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
from pyarrow import fs

from workbench.config import ColumnConfig, DataConfig
from workbench.data.labels import TIME
from workbench.errors import InputError, raise_all

ARROW_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "money": pa.int64(),
    "string": pa.string(),
    "timestamp": TIME,
}
FORMATS = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
READERS: dict[str, Callable[[Any], pa.Table]] = {
    "csv": pyarrow.csv.read_csv,
    "parquet": pq.read_table,
    "jsonl": pyarrow.json.read_json,
}


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; `stamp` changes when the file does."""

    path: str
    format: str
    stamp: str


@dataclass
class Conformed:
    """What one file gave: typed rows, a label per row (null: none), and what is wrong with it."""

    events: pa.Table
    labels: pa.Array
    faults: list[str] = field(default_factory=list)


def list_files(data: DataConfig) -> list[SourceFile]:
    """The files of the source in the order of their names; raises `InputError` when there is none."""
    filesystem, base = _filesystem(str(data.source.path))
    info = filesystem.get_file_info(base)
    if info.type == fs.FileType.NotFound:
        raise InputError(f"data.source.path={data.source.path} does not exist. Correct the path.")
    found = [info] if info.is_file else filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    files = [
        SourceFile(one.path, kind, f"{one.size}-{one.mtime_ns}")
        for one in sorted(found, key=lambda one: one.path)
        if one.is_file and (kind := data.source.format or FORMATS.get(Path(one.path).suffix.lower()))
    ]
    if not files:
        raise InputError(
            f"data.source.path={data.source.path} holds no CSV, Parquet or JSON lines. Set data.source.format."
        )
    return files


def read_file(data: DataConfig, file: SourceFile) -> Conformed:
    """One file as typed rows; what is wrong with it is listed, not raised."""
    filesystem, _ = _filesystem(str(data.source.path))
    try:
        with filesystem.open_input_file(file.path) as stream:
            table = READERS[file.format](stream)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        return Conformed(pa.table({}), pa.nulls(0), [f"{file.path} is no readable {file.format} file ({reason})."])
    return conform(data, table, file.path)


def conform(data: DataConfig, table: pa.Table, where: str) -> Conformed:
    """The rows of a table in the declared columns and types; see `finished` for ids and clocks of a source without."""
    made = {data.id} if data.numbered else set()
    made |= {data.event_time} if data.clock else set()
    expected = {name: column for name, column in data.columns.items() if name not in made}
    sources = {name: column.source or name for name, column in expected.items()}
    wanted = list(sources.values()) + ([data.label.column] if data.label.column else [])
    faults = [
        f"{where} has no column {name}. It has: {', '.join(table.column_names)}. Correct data.columns or the file."
        for name in wanted
        if name not in table.column_names
    ]
    if faults:
        return Conformed(table.select([]), pa.nulls(table.num_rows, pa.int8()), faults)
    typed = {}
    for name, column in expected.items():
        typed[name], problems = _typed(
            table[sources[name]].combine_chunks(), column, f"{where}: column {sources[name]}"
        )
        faults += problems
    labels, problems = _labels(data, table, where)
    return Conformed(pa.table(typed) if not faults else table.select([]), labels, faults + problems)


def finished(data: DataConfig, events: pa.Table, first_row: int) -> pa.Table:
    """The same rows with id, event time and known time filled in, columns in the order id, times, the others."""
    number = np.arange(first_row, first_row + events.num_rows)
    columns = {name: events[name] for name in events.column_names}
    if data.numbered:
        columns[data.id] = pa.array(number)
    if data.clock is not None:
        start = np.datetime64(data.clock.start.removesuffix("Z"), "us").astype(np.int64)
        columns[data.event_time] = pa.array(start + (number * data.clock.step_s * 1e6).astype(np.int64)).cast(TIME)
    known = data.known_time or "known_time"
    columns.setdefault(known, columns[data.event_time])
    order = [data.id, data.event_time, known]
    return pa.table({name: columns[name] for name in dict.fromkeys([*order, *data.columns])})


def read_all(data: DataConfig) -> tuple[list[pa.Table], pa.Array]:
    """All rows and their labels (null: unlabelled), read in parallel; needs a running Ray."""
    import ray

    files = list_files(data)
    task = ray.remote(read_file)
    read: list[Conformed] = ray.get([task.remote(data, file) for file in files])
    faults = [fault for one in read for fault in one.faults]
    raise_all(
        InputError, f"data.source.path={data.source.path} cannot be used:", faults or list(_set_faults(data, read))
    )
    starts = np.cumsum([0, *(one.events.num_rows for one in read)]).tolist()
    tables = [finished(data, one.events, start) for one, start in zip(read, starts, strict=False)]
    return tables, pa.concat_arrays([one.labels for one in read])


def _set_faults(data: DataConfig, read: list[Conformed]) -> Iterator[str]:
    if not sum(one.events.num_rows for one in read):
        yield "it holds no rows. Use a file with data."
    elif data.label.column:
        classes = set(pc.unique(pa.concat_arrays([one.labels for one in read])).drop_null().to_pylist())
        if len(classes) < 2:
            said = {0: "negative", 1: "positive"}.get(next(iter(classes), -1), "no")
            yield f"its label {data.label.column} has {said} rows only. A model needs both classes."


def _filesystem(path: str) -> tuple[fs.FileSystem, str]:
    try:
        return fs.FileSystem.from_uri(path if "://" in path else Path(path).expanduser().resolve().as_uri())
    except (OSError, ValueError) as error:
        raise InputError(f"data.source.path={path} cannot be opened: {error}. Use a path or an s3:// URI.") from error


def _typed(values: pa.Array, column: ColumnConfig, where: str) -> tuple[pa.Array, list[str]]:
    target = ARROW_TYPES[column.type]
    if values.type == pa.null():
        return pa.nulls(len(values), target), []
    try:
        return (_minor_units(values) if column.type == "money" else _cast(values, target)), []
    except pa.ArrowException:
        bad = [row for row in range(len(values)) if not _casts(values[row : row + 1], column, target)]
        return pa.nulls(len(values), target), [
            f"{where}: {len(bad)} of {len(values)} values are not of type {column.type}, first in row {bad[0]}."
            f" Correct the file, or data.columns' type."
        ]


def _casts(one: pa.Array, column: ColumnConfig, target: pa.DataType) -> bool:
    try:
        _ = _minor_units(one) if column.type == "money" else _cast(one, target)
    except pa.ArrowException:
        return False
    return True


def _cast(values: pa.Array, target: pa.DataType) -> pa.Array:
    if target == TIME and pa.types.is_timestamp(values.type) and values.type.tz is None:
        return values.cast(pa.timestamp("us")).cast(TIME)  # a time without a zone is UTC
    if pa.types.is_string(target) and not pa.types.is_string(values.type):
        values = values.cast(pa.large_string())
    return values.cast(target)


def _minor_units(values: pa.Array) -> pa.Array:
    """Amounts in major units (12.34) as whole minor units (1234), halves to even; NaN and infinities do not cast."""
    major = values.cast(pa.float64())
    return pc.round(pc.multiply(major, 100.0)).cast(pa.int64())


def _labels(data: DataConfig, table: pa.Table, where: str) -> tuple[pa.Array, list[str]]:
    label = data.label
    if label.column is None:
        return pa.nulls(table.num_rows, pa.int8()), []
    values = table[label.column].combine_chunks().cast(pa.string())
    known = pa.array([label.positive, label.negative], pa.string())
    place = pc.index_in(values, value_set=known.drop_null())
    odd = pc.and_(pc.is_null(place), pc.is_valid(values))
    if label.negative is not None and pc.any(odd).as_py():
        others = ", ".join(sorted(map(str, pc.unique(values.filter(odd)).to_pylist()))[:5])
        fault = f"{where}: label {label.column} holds {others}; data.label.positive and .negative name the only values."
        return pa.nulls(table.num_rows, pa.int8()), [fault]
    positive = pc.equal(values, pa.scalar(label.positive, pa.string()))
    return positive.cast(pa.int8()), []
