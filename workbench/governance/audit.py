"""The audit log: who was refused what, and what was changed by whom; one JSON line each, chained, append only.

Every process writes files of its own into one folder. A line holds `previous`, the SHA-256 of the line before it, and
the first line of a file names the file before it and how that ended: a line that was changed, left out or moved is
found. That the newest lines were cut off is not: copy the log to where its writer cannot change it.
"""

import datetime as dt
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import EnvironmentFault
from workbench.governance.users import user

SUFFIX, OPEN_MODE = ".audit", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
FOLDER = "audit"  # in the folder of the journal
BEGIN = "0" * 64


class AuditLog:
    """This process's part of the log."""

    def __init__(self, journal: str, name: str, file_bytes: int) -> None:
        self.folder, self.name, self._limit = Path(journal) / FOLDER, name, file_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path, self._head, self._size = "", BEGIN, 0

    def write(self, *, durable: bool = False, **said: Any) -> None:
        """Append one line; durable: it is on the disk before this returns. Raises `OSError` where it cannot."""
        with self._lock:
            try:
                if self._file is None or self._size > self._limit:
                    self._begin()
                self._append({"at": _now(), **said})
                if durable and self._file is not None:
                    os.fsync(self._file)
            except OSError:  # a line that is half there ends its file: the next would be glued to it
                self._end()
                raise

    def close(self) -> None:
        """Nothing more is written."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _begin(self) -> None:
        """A new file, whose first line says how the one before it ended; where that cannot be written, there is none.

        No file is made before there is a line.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = f"{self.name}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}{SUFFIX}"
        file = os.open(self.folder / path, OPEN_MODE, 0o600)
        before = {"file": self._path, "head": self._head}
        said = {"at": _now(), "act": "begin", "by": self.name, "process": os.getpid(), "after": before}
        try:
            line = self._put(file, said, BEGIN)
        except OSError:  # nothing is in it: each line that a full disk refuses would leave another such file
            os.close(file)
            (self.folder / path).unlink()
            raise
        self._end()
        self._file, self._path, self._head, self._size = file, path, _digest(line), len(line)

    def _append(self, said: dict[str, Any]) -> None:
        assert self._file is not None
        line = self._put(self._file, said, self._head)
        self._head = _digest(line)
        self._size += len(line)

    def _put(self, file: int, said: dict[str, Any], previous: str) -> bytes:
        """The line that was written; raises `OSError` where the disk did not take all of it."""
        line = msgspec.json.encode({**said, "previous": previous}) + b"\n"
        if os.write(file, line) != len(line):
            raise OSError(f"{self.folder} took only a part of a line")
        return line


def acted(journal: str, file_bytes: int, act: str, **said: Any) -> None:
    """Write down, on the disk, an act of this process's user."""
    log = AuditLog(journal, "commands", file_bytes)
    log.write(durable=True, act=act, by=user(), **said)
    log.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    """Everything that was written, in the order of time; a line that a killed process only half wrote is left out."""
    found = [json.loads(line) for path in files(folder) for line in _whole_lines(path)]
    return sorted(found, key=lambda one: str(one["at"]))


def faults(folder: Path) -> Iterator[str]:
    """Where the chain of a file is broken, or a file is missing that another one names."""
    heads = {}
    for path in files(folder):
        head = BEGIN
        for number, line in enumerate(_whole_lines(path), 1):
            if json.loads(line).get("previous") != head:
                yield f"{path}: line {number} does not follow the line before it"
            head = _digest(line)
        heads[path.name] = head
    for path in files(folder):
        first = next(iter(_whole_lines(path)), b"{}")
        before = json.loads(first).get("after", {})
        if before.get("file") and heads.get(before["file"]) != before["head"]:
            yield f"{path}: the file before it, {before['file']}, is missing or ends otherwise"


def files(folder: Path) -> list[Path]:
    """The files of a log, oldest first of each writer."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _whole_lines(path: Path) -> Iterator[bytes]:
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return  # it was never finished
        try:
            json.loads(line)
        except ValueError:
            raise EnvironmentFault(f"{path} holds a line that is no JSON: it was altered. Look at it.") from None
        yield line


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
