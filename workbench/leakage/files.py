"""A user's own CSV, Parquet or JSON lines as a table to audit: every column as what its values are, declared or not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from workbench.config import DataConfig, LeakcheckConfig, SourceConfig
from workbench.data import formats, sources
from workbench.errors import ConfigError, InputError, raise_all
from workbench.leakage.table import HUGE, Audited, Column, Ints

NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none"]
DAY_US = 86_400_000_000
TRUE = {"1": "0", "1.0": "0.0", "true": "false", "yes": "no"}  # what means 1, and what the other value is then


def source_of(check: LeakcheckConfig) -> DataConfig:
    """The file or folder as the library's readers take it."""
    return DataConfig(source=SourceConfig(kind="file", path=check.path, format=check.format, nulls=NULLS))


def listed(check: LeakcheckConfig) -> list[sources.SourceFile]:
    """The files, with faults in the words of the check's own keys."""
    try:
        return sources.list_files(source_of(check))
    except InputError as error:
        raise InputError(str(error).replace("data.source.", "leakcheck.")) from error


def audited(check: LeakcheckConfig) -> tuple[Audited, list[str]]:
    """The table, and the names of the columns that no check reads; raises `InputError` with every fault."""
    rows = _read(listed(check), source_of(check))
    raise_all(InputError, f"leakcheck.path={check.path} cannot be checked:", list(_faults(check, rows)))
    label_N, known_N = _label(check, rows)
    rows = rows.filter(pa.array(known_N))
    roles = {check.label, check.time, check.part, *check.entities}
    columns = {name: Column.of(name, typed(rows[name])) for name in rows.column_names if name != check.label}
    unread = [name for name, one in columns.items() if one is None]
    entities = tuple(one for name in check.entities if (one := columns[name]) is not None)
    table = Audited(
        columns=tuple(one for name, one in columns.items() if one is not None and name not in roles),
        label_N=label_N[known_N],
        time_N=_time(check, columns),
        entities=entities,
        part=columns[check.part] if check.part else None,
        split=claimed(check),
        delay=check.delay_days * DAY_US,
        row_N=np.arange(rows.num_rows),
    )
    return table, unread


def claimed(check: LeakcheckConfig) -> str:
    """What the split claims: as it is said, else by time where one is named, else by entity, else nothing."""
    return check.split or ("time" if check.time else "entity" if check.entities else "random")


def typed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts that are all whole numbers, numbers or times as such; all other columns as they are."""
    kind = values.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or values.null_count == len(values):
        return values
    texts = pc.utf8_trim_whitespace(values)
    for wanted in (pa.int64(), pa.float64(), pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            return texts.cast(wanted)
        except pa.ArrowInvalid:
            continue
    return texts


def _read(files: list[sources.SourceFile], data: DataConfig) -> pa.Table:
    filesystem, _ = fs.FileSystem.from_uri(_uri(str(data.source.path)))
    tables, faults = [], []
    for file in files:
        try:
            with filesystem.open_input_file(file.path) as stream:
                tables.append(formats.READERS[file.format](stream, data))
        except (OSError, pa.ArrowException, ValueError) as error:
            faults.append(f"{file.name} is no readable {file.format} file ({' '.join(str(error).split())[:200]}).")
    raise_all(InputError, f"leakcheck.path={data.source.path} cannot be read:", faults)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(
            f"The files of leakcheck.path={data.source.path} do not have the same columns: {error}."
        ) from error


def _uri(path: str) -> str:
    return path if "://" in path else Path(path).expanduser().resolve().as_uri()


def _faults(check: LeakcheckConfig, rows: pa.Table) -> Iterator[str]:
    if not rows.num_rows:
        yield "it holds no rows. Use a file with data."
    for key in ("label", "time", "part"):
        name = getattr(check, key)
        if name is not None and name not in rows.column_names:
            yield f"leakcheck.{key}={name} is no column. Use one of: {', '.join(rows.column_names)}."
    for name in check.entities:
        if name not in rows.column_names:
            yield f"leakcheck.entities={name} is no column. Use some of: {', '.join(rows.column_names)}."


def _label(check: LeakcheckConfig, rows: pa.Table) -> tuple[Ints, np.ndarray]:
    """1 for the positive value and 0 for all others, and which rows have one; the rarer of two values is positive."""
    values = rows[check.label].combine_chunks().cast(pa.string())
    counts = {one["values"]: one["counts"] for one in values.drop_null().value_counts().to_pylist()}
    positive = check.positive
    if positive is None and len(counts) == 2:
        said = [one for one, other in (tuple(counts), tuple(counts)[::-1]) if TRUE.get(one.lower()) == other.lower()]
        positive = said[0] if said else min(counts, key=lambda value: counts[value])
    if positive not in counts or len(counts) < 2:
        shown = ", ".join(sorted(counts)[:8])
        raise InputError(
            f"leakcheck.label={check.label} has {len(counts)} values ({shown}); the check needs one that means 1 and at"
            f" least another. Set leakcheck.positive=VALUE."
        )
    label_N = np.array(pc.fill_null(pc.equal(values, positive), False).to_numpy(zero_copy_only=False), np.int64)
    return label_N, np.array(pc.is_valid(values).to_numpy(zero_copy_only=False))


def _time(check: LeakcheckConfig, columns: dict[str, Column | None]) -> Ints | None:
    if check.time is None:
        return None
    column = columns[check.time]
    if column is None or not column.number or not np.all(np.abs(column.value_N) < HUGE):
        raise InputError(
            f"leakcheck.time={check.time} does not hold a time or a number in every row. Use RFC 3339 times or numbers."
        )
    return column.value_N.astype(np.int64) if column.whole else np.argsort(np.argsort(column.value_N, kind="stable"))


def config_faults(check: LeakcheckConfig) -> None:
    """Raise `ConfigError` with everything that is wrong with the keys."""
    faults = []
    if check.path is None and (check.label or check.time or check.part or check.entities):
        faults.append(
            "leakcheck.path is not set, but roles of a file are. Set it, or leave out label, time, part, entities."
        )
    if check.path is not None and not check.label:
        faults.append("leakcheck.label is not set. Say which column of the file is the label.")
    if check.split not in (None, "random", "time", "entity"):
        faults.append(f"leakcheck.split={check.split} is unknown. Use one of: random, time, entity.")
    if not 0 < check.false_alarm_rate < 1:
        faults.append(f"leakcheck.false_alarm_rate={check.false_alarm_rate} must be greater than 0 and less than 1.")
    for key in ("cuts", "driver_rows", "sample_rows"):
        if getattr(check, key) < 1:
            faults.append(f"leakcheck.{key}={getattr(check, key)} must be greater than 0.")
    raise_all(ConfigError, "The configuration is wrong:", faults)
