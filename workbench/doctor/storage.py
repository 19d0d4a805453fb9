"""Whether `storage.root` can be written, read and emptied from here and read from every node; and its clock."""

import datetime as dt
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress

from pyarrow import fs

from workbench.data.parquet import read_bytes, write_bytes
from workbench.data.store import Store
from workbench.doctor.findings import Finding, odd, ok, wrong
from workbench.errors import WorkbenchError

SKEW_S = 5.0
FOLDER = "doctor"
CURE = "Check the path and who may read, write and delete there (local: owner and mode; S3: the role's policy)."


def without_secret(root: str) -> str:
    """A storage's address as it may be shown: without a user or a key before its bucket."""
    return re.sub(r"//[^/@]*@", "//...@", root)


class Probe:
    """A small file in the store, for as long as the diagnosis lasts."""

    def __init__(self, root: str) -> None:
        self.root, self.shown, self.content = root, without_secret(root), secrets.token_bytes(16)
        self.name = f"{FOLDER}/{secrets.token_hex(8)}"

    def findings(self) -> Iterator[Finding]:
        """Whether it can be written and read from here, and how far the storage's clock is from ours."""
        try:
            store, before = Store(self.root), time.time()
            write_bytes(store.fs, store.path(self.name), self.content)
            read = read_bytes(store.fs, store.path(self.name))
            told = store.fs.get_file_info(store.path(self.name)).mtime
        except (OSError, WorkbenchError) as error:
            yield wrong("storage", f"{self.shown}: {' '.join(str(error).split())[:300]}", CURE)
            return
        same = read == self.content
        yield (
            ok("storage", f"{self.shown} is written and read")
            if same
            else wrong("storage", f"{self.shown} gives back other bytes than were written", "Do not use this storage.")
        )
        yield from _clock(told, before, time.time())

    def seen(self) -> bool:
        """Whether the file is there, seen from wherever this is called."""
        try:
            store = Store(self.root)
            return read_bytes(store.fs, store.path(self.name)) == self.content
        except (OSError, WorkbenchError):
            return False

    def removed(self) -> Iterator[Finding]:
        """What is wrong with deleting it."""
        store = Store(self.root)
        try:
            store.fs.delete_file(store.path(self.name))
        except OSError as error:
            yield wrong("storage", f"{self.shown}: nothing can be deleted ({error})", CURE)
        with suppress(OSError):  # another diagnosis looks at the same time
            if store.fs.type_name == "local" and not store.fs.get_file_info(fs.FileSelector(store.path(FOLDER))):
                store.fs.delete_dir(store.path(FOLDER))


def _clock(told: dt.datetime | None, before: float, after: float) -> Iterator[Finding]:
    if told is None:
        return
    there = told.timestamp()
    if (skew := max(before - 1 - there, there - after - 1, 0)) > SKEW_S:  # 1: some storages tell whole seconds
        cure = "Let both keep time (chrony, NTP): known times and signatures go by the clock."
        yield odd("clocks", f"the storage's clock is {skew:.0f} s away from this machine's", cure)
    else:
        yield ok("clocks", "the storage's clock is this machine's")
