"""The journal: what was acknowledged and is not in the tables yet, one JSON line a record, in files of one folder.

A record is written by one system call before its answer leaves, so it survives the death of the process. A segment is
released every few seconds and moved into its Delta table as one transaction named after the segment: exactly once.
All replicas write into one folder. Whoever writes or moves a segment holds the lock on it, which the kernel takes away
from a process that dies: then the segment is released too, and any other replica moves it.
"""

import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from serve.answers import Refusal

SEGMENT, UNREADABLE, NEW, REPLICA = ".jsonl", ".unreadable", ".new", ".replica"


class Identified(msgspec.Struct):
    """What every record says."""

    id: str


class Journal:
    """An append-only sequence of segments `<folder>/<kind>-<time>-<random>.jsonl`, written by this process alone."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._file, self._records = self._open()

    def append(self, records: list[Any]) -> None:
        """Write records; when the disk refuses, the request is refused too, and no answer leaves without its record."""
        lines = b"".join(self._encoder.encode(record) + b"\n" for record in records)
        with self._lock:
            if not self._written(lines):
                raise Refusal(503, "The decision could not be recorded.", retry_after="5")
            self._records += len(records)

    def close_segment(self) -> None:
        """Begin a new segment and release the current one, if that holds anything."""
        with self._lock:
            if not self._records:
                return
            file = self._file
            self._path, self._file, self._records = self._open()
        os.close(file)

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
        """A segment that has its lock before any other process can see it."""
        path = self.folder / f"{self.kind}-{time.time_ns():020d}-{secrets.token_hex(4)}{SEGMENT}"
        return path, _new(path), 0


def released(folder: Path, kind: str) -> Iterator[Path]:
    """The segments that no living process writes or moves, oldest first; each is the caller's until the next."""
    for segment in sorted(folder.glob(f"{kind}-*{SEGMENT}")):
        with _locked(segment) as ours:
            if ours and _whole(segment):
                yield segment


def unmoved(folder: Path) -> set[Path]:
    """The segments that hold a record, whoever writes them."""
    return {segment for segment in folder.glob(f"*{SEGMENT}") if _size(segment)}


def backlog(folder: Path) -> dict[str, int]:
    """How many bytes of each kind are not moved yet, whoever wrote them."""
    sizes: dict[str, int] = {}
    for segment in folder.glob(f"*{SEGMENT}"):
        kind = segment.name.partition("-")[0]
        sizes[kind] = sizes.get(kind, 0) + (_size(segment) or 0)
    return sizes


def live(folder: Path, replica: str) -> int:
    """A lock that says that a replica lives, as long as this process does."""
    return _new(folder / f"{replica}{REPLICA}")


def lives(folder: Path, replica: str) -> bool:
    """Whether a replica's process has not ended."""
    mark = folder / f"{replica}{REPLICA}"
    with _locked(mark) as ours:
        return not ours and mark.exists()


def dead(folder: Path) -> Iterator[str]:
    """The replicas whose process has ended; each is forgotten after its turn."""
    for mark in sorted(folder.glob(f"*{REPLICA}")):
        with _locked(mark) as ours:
            if ours:
                yield mark.stem
                mark.unlink()


def holds(folder: Path, kind: str, identity: str) -> bool:
    """Whether a record of that id is there and not moved yet."""
    return any(one["id"] == identity for one in records(folder, kind, identity))


def records(folder: Path, kind: str, text: str) -> Iterator[dict[str, Any]]:
    """The records that are not moved yet and have a field of just that text."""
    wanted = msgspec.json.encode(text)
    for segment in sorted(folder.glob(f"{kind}-*")):
        content = _bytes(segment)
        if wanted in content:  # by far the cheapest look
            whole = (line for line in content.splitlines(keepends=True) if wanted in line and line.endswith(b"\n"))
            yield from filter(None, map(_record, whole))


def set_aside(segment: Path) -> None:
    """Keep a segment that cannot be read from the ones behind it; a person has to look at it."""
    segment.rename(segment.with_suffix(UNREADABLE))


@contextlib.contextmanager
def _locked(segment: Path) -> Iterator[bool]:
    """Whether the segment is there and nobody else has its lock; then it is ours as long as the block."""
    try:
        file = os.open(segment, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(file) and _size(segment) is not None  # it may have been moved while it was opened
    finally:
        os.close(file)


def _new(path: Path) -> int:
    """A new file that has its lock before any other process can see it."""
    new = path.with_suffix(NEW)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    new.rename(path)
    return file


def _bytes(segment: Path) -> bytes:
    try:
        return segment.read_bytes()
    except FileNotFoundError:  # moved meanwhile: the table has it
        return b""


def _record(line: bytes) -> dict[str, Any] | None:
    """A record; None for a line that is none."""
    try:
        msgspec.json.decode(line, type=Identified)
        return dict(msgspec.json.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(segment: Path) -> int | None:
    try:
        return segment.stat().st_size
    except FileNotFoundError:
        return None


def _whole(segment: Path) -> bool:
    """Cut off the last record that a killed process only half wrote, and never acknowledged; False: none is left."""
    whole = segment.read_bytes().rfind(b"\n") + 1
    if not whole:
        segment.unlink()
        return False
    os.truncate(segment, whole)
    return True
