"""The journal: what was acknowledged and is not in the tables yet, one JSON line a record, on this machine's disk.

A record is written by one system call before its answer leaves, so it survives the death of the process. A segment is
closed every few seconds and moved into its Delta table as one transaction named after the segment: exactly once.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from serve.answers import Refusal

OPEN, CLOSED, UNREADABLE = ".open", ".jsonl", ".unreadable"


class Journal:
    """An append-only sequence of segments `<folder>/<kind>-<time>-<pid>.jsonl`. One writer per folder and kind."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(f"{kind}-*{OPEN}"):
            if not _has_writer(left):
                _close_left(left)
        self._path, self._file, self._records = self._open()

    def append(self, records: list[Any]) -> None:
        """Write records; when the disk refuses, the request is refused too, and no answer leaves without its record."""
        lines = b"".join(self._encoder.encode(record) + b"\n" for record in records)
        with self._lock:
            if not self._written(lines):
                raise Refusal(503, "The decision could not be recorded.", retry_after="5")
            self._records += len(records)

    def close_segment(self) -> None:
        """Begin a new segment, if the current one holds anything."""
        with self._lock:
            if not self._records:
                return
            path, file = self._path, self._file
            self._path, self._file, self._records = self._open()
        os.close(file)
        path.rename(path.with_suffix(CLOSED))

    def closed(self) -> list[Path]:
        """The segments that are ready to be moved, oldest first."""
        return sorted(self.folder.glob(f"{self.kind}-*{CLOSED}"))

    def _written(self, lines: bytes) -> bool:
        """Whether the disk took all of it; half a record is no record."""
        try:
            start = os.fstat(self._file).st_size
            try:
                whole = os.write(self._file, lines) == len(lines)
            except OSError:
                whole = False
            if not whole:
                os.ftruncate(self._file, start)
        except OSError:
            return False
        return whole

    def _open(self) -> tuple[Path, int, int]:
        path = self.folder / f"{self.kind}-{time.time_ns():020d}-{os.getpid()}{OPEN}"
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), 0


def set_aside(segment: Path) -> None:
    """Keep a segment that cannot be read from the ones behind it; a person has to look at it."""
    segment.rename(segment.with_suffix(UNREADABLE))


def _has_writer(segment: Path) -> bool:
    """Whether another process that lives is writing it; the name ends with the writer's process id."""
    writer = int(segment.stem.rpartition("-")[2])
    try:
        os.kill(writer, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return writer != os.getpid()


def _close_left(segment: Path) -> None:
    """Close the segment of a process that was killed; a last record that it only half wrote was never acknowledged."""
    whole = segment.read_bytes().rfind(b"\n") + 1
    if not whole:
        segment.unlink()
        return
    os.truncate(segment, whole)
    segment.rename(segment.with_suffix(CLOSED))
