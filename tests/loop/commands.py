"""Steps run as a user runs them: commands in processes of their own, with folders and ports of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("experiment=smoke", "scaling.workers=2")  # two, as in the main job; a submitted job has smoke's own one


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    """The variables of a fresh user whose store, keys and journal lie in `folder`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "WORKBENCH_"))}
    own = ("WORKBENCH_STORE", "WORKBENCH_KEYS", "WORKBENCH_JOURNAL")
    return inherited | {name: str(folder / name.lower()) for name in own}


def command(step: str, *overrides: str) -> list[str]:
    return [sys.executable, "-m", f"workloads.{step}", *SMOKE, "tracker=disabled", *overrides]


def run(folder: Path, step: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(step, *overrides),
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def processes() -> dict[int, int]:
    """Every running process and its parent; zombies run no more."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, *_ = entry.read_text().rpartition(")")[2].split()
            found |= {} if state == "Z" else {int(entry.parent.name): int(parent)}
    return found


def descendants(pid: int) -> list[int]:
    """The children of a process and theirs, whatever session they moved to."""
    found, parents = {pid}, processes()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""
    return sorted(set(pids) & set(processes()))


def kill(pids: list[int]) -> None:
    for pid in alive(pids):
        os.kill(pid, signal.SIGKILL)


def wait_until(seen: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it was seen in time."""
    until = time.monotonic() + timeout_s
    while not seen():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True
