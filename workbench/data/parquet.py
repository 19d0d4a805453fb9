"""The one pair of functions that writes and reads Parquet, so that one day every file can be encrypted in one place."""

import contextlib
import io
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
from pyarrow import fs

from workbench import digest
from workbench.errors import EnvironmentFault, StoreError


@dataclass(frozen=True)
class FileEntry:
    """One Parquet file as its manifest lists it: name in its folder, rows, bytes and SHA-256 of the content."""

    name: str
    rows: int
    bytes: int
    sha256: str


def write_table(filesystem: fs.FileSystem, folder: str, table: pa.Table, prefix: str = "part") -> FileEntry:
    """The entry of a new file in `folder` that holds `table`, named by its content: a repeat overwrites itself."""
    sink = io.BytesIO()
    texts = [one.name for one in table.schema if pa.types.is_string(one.type)]
    encodings = {one.name: encoding for one in table.schema if (encoding := _encoding(one.type))}
    pq.write_table(
        table, sink, compression="zstd", coerce_timestamps="us", use_dictionary=texts, column_encoding=encodings
    )
    content = sink.getbuffer()
    sha256 = digest.sha256(content)
    entry = FileEntry(f"{prefix}-{sha256[:16]}.parquet", table.num_rows, len(content), sha256)
    write_bytes(filesystem, f"{folder}/{entry.name}", content)
    return entry


def _encoding(kind: pa.DataType) -> str | None:
    """How numbers are laid out before zstd; a dictionary of what hardly repeats costs time and saves no space."""
    if pa.types.is_floating(kind):
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) else None


def read_table(
    filesystem: fs.FileSystem,
    folder: str,
    entry: FileEntry,
    columns: Sequence[str] | None = None,
    rows: pc.Expression | None = None,
) -> pa.Table:
    """The chosen columns and rows of one listed file, after its size and digest were compared with the manifest's."""
    content = read_bytes(filesystem, f"{folder}/{entry.name}")
    if len(content) != entry.bytes or digest.sha256(content) != entry.sha256:
        raise StoreError(
            f"{folder}/{entry.name} is not the file in its manifest ({len(content)} bytes, {entry.bytes} expected)."
            f" Delete {folder} (and every other folder that shares this file) and run the step again."
        )
    return choose(pq.read_table(pa.BufferReader(content), use_threads=False), columns, rows)


def span(filesystem: fs.FileSystem, folder: str, entry: FileEntry, column: str) -> tuple[int, int] | None:
    """The least and greatest of a column's times (us) or whole numbers, from the footer alone; None: it says none."""
    path = f"{folder}/{entry.name}"
    try:
        with filesystem.open_input_file(path) as stream:
            footer = pq.read_metadata(stream)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} has no readable footer: {error}. Delete {folder} and run the step again.") from error
    columns = [
        footer.row_group(group).column(n) for group in range(footer.num_row_groups) for n in range(footer.num_columns)
    ]
    told = [one.statistics for one in columns if one.path_in_schema == column]
    if not told or not all(one is not None and one.has_min_max for one in told):
        return None
    return min(one.min_raw for one in told), max(one.max_raw for one in told)


def choose(table: pa.Table, columns: Sequence[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """The chosen rows and columns of a table; a filter may use columns that are not chosen."""
    if rows is not None:
        table = pds.dataset(table).to_table(filter=rows, use_threads=False)
    return table if columns is None else table.select(list(columns))


def write_bytes(filesystem: fs.FileSystem, path: str, content: bytes | memoryview) -> None:
    """Write one file, whole or not at all, and its folder; a full disk or a missing permission is one clear error."""
    folder, _, name = path.rpartition("/")
    local = isinstance(filesystem, fs.LocalFileSystem)  # an object store shows an object only when it is whole
    draft = f"{folder}/.{name}.{os.getpid()}.{secrets.token_hex(4)}" if local else path
    try:
        filesystem.create_dir(folder, recursive=True)
        with filesystem.open_output_stream(draft) as stream:
            stream.write(content)
        if local:
            filesystem.move(draft, path)
    except OSError as error:
        if local:
            with contextlib.suppress(OSError):
                Path(draft).unlink()
        raise EnvironmentFault(
            f"{path} could not be written: {error}. Free space or correct storage.root, or ask for the right to write"
            " there."
        ) from error


def share(filesystem: fs.FileSystem, path: str, other: str) -> None:
    """Give a file that never changes a second path: a link on a disk that has them, else a copy."""
    try:
        filesystem.create_dir(other.rpartition("/")[0], recursive=True)
        if isinstance(filesystem, fs.LocalFileSystem):
            os.link(path, other)
        else:
            filesystem.copy_file(path, other)  # within the object store, without a way through here
    except FileExistsError:
        pass  # left by an attempt that was cut off: a link is whole
    except OSError:
        write_bytes(filesystem, other, read_bytes(filesystem, path))


def read_bytes(filesystem: fs.FileSystem, path: str) -> bytes:
    """The content of one file of the store."""
    try:
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise EnvironmentFault(f"{path} could not be read: {error}. Check storage.root and its permissions.") from error


def _missing(path: str) -> StoreError:
    return StoreError(f"{path} is listed but missing. Delete its folder and run the step again.")
