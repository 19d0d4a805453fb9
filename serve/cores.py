"""Each replica on a core of its own: what another process does on the others costs its latency less."""

import contextlib
import fcntl
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

LENT = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()  # before this process was pinned
log = logging.getLogger("ray.serve")


def folder() -> Path:
    """Where the locks of this machine lie: applications, and their replicas, share its cores."""
    path = Path(tempfile.gettempdir()) / f"workbench-cores-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def pin(folder: Path, cores: Sequence[int]) -> int | None:
    """Pin this process, with all threads that it starts from now on, to the first core that no replica has.

    Returns the file that holds the core's lock as long as the process lives; None: no core is named, free or there.
    """
    for core in cores:
        file = os.open(folder / f"core-{core}.lock", os.O_WRONLY | os.O_CREAT, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                os.sched_setaffinity(0, {core})
            except OSError as error:
                log.error("serve.running.cores: this machine does not lend core %d (%s)", core, error.strerror)
            else:
                return file
        os.close(file)
    if cores:
        log.error("serve.running.cores has no free core for this replica: it is pinned to none")
    return None


def lend(pid: int) -> None:
    """Let a process that this one started run on all cores that this one had before it was pinned."""
    if LENT:
        os.sched_setaffinity(pid, LENT)
