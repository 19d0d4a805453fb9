"""From a user's files to typed events and labels, as a data set's YAML says; every fault of every file in one error.

CSV, Parquet and JSON lines; a file or a folder; local or s3://. One Ray task reads one file, and its rows stay in the
workers. A value that is not of its type is no fault of its file: it travels with its row, and validation names it. Or
the benchmark, generated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from workbench import digest
from workbench.config import DataConfig
from workbench.data import benchmark, formats
from workbench.data.casting import UNFIT
from workbench.data.conform import Conformed, conform, finished
from workbench.data.parquet import read_bytes
from workbench.errors import InputError, raise_all
from workbench.progress import say

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS_PER_BLOCK = 500_000
SHOWN = 5  # names of files that are told, then a count
PAPER = (".md", ".txt", ".rst", ".html", ".pdf", ".md5", ".sha256")  # ends of what is about data and none itself
PAPERS = ("readme", "license", "licence", "copying", "notice", "changelog")  # and begins, up to the first dot
HASHED_BYTES = 2**26  # files up to this size are named by their content, larger ones by size and time of change


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its path, its name within the source, and a stamp that changes when the file does."""

    path: str
    name: str
    format: str
    stamp: str


@dataclass
class Source:
    """All rows of a source where they are, and of each row what the label ledger needs: id, event time, label."""

    events: "Dataset"
    keys: pa.Table  # id, event time; of versions the known time as well
    labels: pa.ChunkedArray  # int8, null: none
    scenarios: pa.ChunkedArray  # string, null: none


def list_files(data: DataConfig) -> list[SourceFile]:
    """The files of the source in the order of their names.

    Raises `InputError` when there is none, or one that may be data in a format that is not read.
    """
    path, found = str(data.source.path), _found(str(data.source.path))
    kinds = {name: data.source.format or formats.BY_SUFFIX.get(Path(name).suffix.lower()) for name in found}
    _check_others(path, {name: one.path for name, one in found.items() if kinds[name] is None})
    if not any(kinds.values()):
        raise InputError(f"data.source.path={path} holds no CSV, Parquet or JSON lines. Set data.source.format.")
    return [
        SourceFile(one.path, name, kind, _stamp(path, one.path, one.size, one.mtime_ns))
        for name, one in found.items()
        if (kind := kinds[name])
    ]


def read_file(data: DataConfig, file: SourceFile) -> Conformed:
    """One file as typed rows; what is wrong with it is listed, not raised."""
    filesystem, _ = _filesystem(str(data.source.path))
    try:
        with filesystem.open_input_file(file.path) as stream:
            table = formats.READERS[file.format](stream, data)
    except (OSError, pa.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        fault = f"{file.name} is no readable {file.format} file ({reason}). Replace it, or correct data.source.format."
        return Conformed(pa.table({}), pa.nulls(0, pa.int8()), [fault])
    return conform(data, table, file.name)


def read(data: DataConfig) -> Source:
    """All rows of the source, read in parallel; needs a running Ray; raises one `InputError` with every fault."""
    import ray
    import ray.data

    parts = [ray.remote(_read_apart).options(num_returns=2).remote(data, file) for file in list_files(data)]
    told: list[Conformed] = ray.get([about for about, _ in parts])
    faults = [fault for one in told for fault in one.faults] or list(_set_faults(data, told))
    raise_all(InputError, f"data.source.path={data.source.path} cannot be used:", faults)
    unfit = sorted({name for one in told for name in one.events.column_names if name.startswith(UNFIT)})
    finish = ray.remote(_finish_block).options(num_returns=2)
    blocks = [
        finish.remote(data, parts[index][1], offset, rows, first, unfit)
        for index, offset, rows, first in _blocks([len(one.labels) for one in told])
    ]
    keys = pa.concat_tables(ray.get([keys for keys, _ in blocks]))
    labels = pa.chunked_array([one.labels for one in told])
    scenarios = pa.chunked_array([pa.nulls(len(labels), pa.string())])
    return Source(ray.data.from_arrow_refs([block for _, block in blocks]), keys, labels, scenarios)


def generated(data: DataConfig) -> Source:
    """All rows of the generated benchmark; needs a running Ray."""
    import ray.data

    events, truth = benchmark.generate(data.source.benchmark)
    if not events.num_rows:
        raise InputError("data.source.benchmark gives no rows. Raise its customers, terminals, days or radius.")
    events = finished(data, events, 0)
    blocks = [events.slice(start, ROWS_PER_BLOCK) for start in range(0, events.num_rows, ROWS_PER_BLOCK)]
    scenarios = pc.if_else(pc.greater(truth["scenario"], 0), truth["scenario"].cast(pa.string()), None)
    keys = events.select(_keys(data))
    return Source(ray.data.from_arrow(blocks), keys, truth["label"], scenarios)


def _read_apart(data: DataConfig, file: SourceFile) -> tuple[Conformed, pa.Table]:
    """What the driver must know of a file, and apart from it the rows, which stay in the object store."""
    one = read_file(data, file)
    return Conformed(one.events[:0], one.labels, one.faults), one.events


def _finish_block(
    data: DataConfig, events: pa.Table, offset: int, rows: int, first_row: int, unfit: list[str]
) -> tuple[pa.Table, pa.Table]:
    block = finished(data, events.slice(offset, rows), first_row, unfit)
    return block.select(_keys(data)), block


def _keys(data: DataConfig) -> list[str]:
    return [data.id, data.event_time, *([str(data.known_time)] if data.versions else [])]


def _blocks(rows_per_file: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """Index of the file, offset in it, rows and number of the first row, for every block."""
    first = 0
    for index, rows in enumerate(rows_per_file):
        for offset in range(0, rows, ROWS_PER_BLOCK):
            yield index, offset, min(ROWS_PER_BLOCK, rows - offset), first + offset
        first += rows


def _set_faults(data: DataConfig, read: list[Conformed]) -> Iterator[str]:
    labels = pa.chunked_array([one.labels for one in read], pa.int8())
    if not len(labels):
        yield "it holds no rows. Use a file with data."
    elif data.label.column and len(classes := labels.drop_null().unique().to_pylist()) < 2:
        said = {(): "no label in any row", (0,): "negative rows only", (1,): "positive rows only"}[tuple(classes)]
        yield (
            f"its label {data.label.column} has {said} (data.label.positive={data.label.positive}). A model needs both"
            " classes: correct data.label, or use a file that has both."
        )


def _filesystem(path: str) -> tuple[fs.FileSystem, str]:
    try:
        return fs.FileSystem.from_uri(path if "://" in path else Path(path).expanduser().resolve().as_uri())
    except (OSError, ValueError) as error:
        raise InputError(f"data.source.path={path} cannot be opened: {error}. Use a path or an s3:// URI.") from error


def _found(path: str) -> dict[str, fs.FileInfo]:
    """The files at a path by their names within it, in the order of these; without what is hidden."""
    filesystem, base = _filesystem(path)
    info = filesystem.get_file_info(base)
    if info.type == fs.FileType.NotFound:
        raise InputError(f"data.source.path={path} does not exist. Correct the path.")
    found = [info] if info.is_file else filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    root = info.path.rpartition("/")[0] if info.is_file else info.path
    named = {one.path.removeprefix(root).lstrip("/"): one for one in sorted(found, key=lambda one: one.path)}
    return {name: one for name, one in named.items() if one.is_file and not _hidden(name)}


def _check_others(path: str, others: dict[str, str]) -> None:
    """Raise `InputError` where files of no known format may be data; say which are left out because they are not."""
    if doubtful := [name for name in others if not _is_paper(name)]:
        raise InputError(
            f"data.source.path={path} holds files that do not end in {', '.join(formats.BY_SUFFIX)}: {_few(doubtful)}."
            " Unpack them, or write them in one of these formats; set data.source.format where all files are of one;"
            " begin the name of what is no data with _."
        )
    if others:
        _say_left_out(tuple(others.values()))


@cache  # once in a process: every step lists the files to name its input
def _say_left_out(paths: tuple[str, ...]) -> None:
    say(f"  left out as no data: {_few(paths)}")


def _few(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _is_paper(name: str) -> bool:
    """Whether a file is plainly no data, but about it: README.md, LICENSE, terms.pdf."""
    last = name.rpartition("/")[2].lower()
    return last.endswith(PAPER) or last.partition(".")[0] in PAPERS


def _hidden(name: str) -> bool:
    """Whether other tools left it there for themselves: .crc files, _SUCCESS, _delta_log/..., data_$folder$ on S3."""
    return any(part.startswith((".", "_")) or part.endswith("_$folder$") for part in name.split("/"))


@cache
def _stamp(source: str, path: str, size: int, mtime_ns: int | None) -> str:
    return digest.sha256(read_bytes(_filesystem(source)[0], path)) if size <= HASHED_BYTES else f"{size}-{mtime_ns}"
