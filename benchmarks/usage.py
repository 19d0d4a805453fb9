"""What a process and all its descendants use: CPU seconds and the peak of their memory, read from Linux's /proc.

Memory is the sum of the proportional set sizes (PSS): a page that n processes share counts 1/n in each, so that Ray's
object store, which lies in shared memory, is counted once.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

EVERY_S = 0.5  # a sample costs some 30 ms, which both sides bear alike
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Usage:
    """A context in which the peak memory (bytes) and at whose end the CPU time (s) of a process tree are measured."""

    def __init__(self, root: int, without: frozenset[int] = frozenset()) -> None:
        self.root, self.without, self.peak_bytes, self.cpu_s = root, without, 0, 0.0
        self._own_s = 0.0  # of the watching itself
        self._done, self._thread = threading.Event(), threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Usage":
        self.cpu_s = -self._each(_cpu_s)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self.cpu_s += self._each(_cpu_s) - (self._own_s if self.root == os.getpid() else 0.0)

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, round(self._each(_memory_bytes)))
            if self._done.wait(EVERY_S):
                break
        self._own_s = time.thread_time()

    def _each(self, figure: Callable[[int], float]) -> float:
        total = 0.0
        for pid in tree(self.root, self.without):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                total += figure(pid)
        return total


def tree(root: int, without: frozenset[int] = frozenset()) -> list[int]:
    """A process and its descendants, leaving out some and what descends from these."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is read
        found += [child for child in children.get(pid, []) if child not in without]
    return found


def command(pid: int) -> bytes:
    """The words of a process's command, each but the last one before a zero byte; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat behind the command's name, which may hold anything: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    """Of the process and of its children that have ended."""
    return sum(map(int, _stat(pid)[11:15])) / TICKS_PER_S


def _memory_bytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
