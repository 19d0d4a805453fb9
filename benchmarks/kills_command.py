"""A command that is started in a store of its own, and killed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks.usage import command, tree
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.training import segments

ROOT = Path(__file__).resolve().parents[1]
AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")  # of a node: they train nothing, and outlive it by a minute
LOOK_EVERY_S = 0.02
TIME_LIMIT_S = 1800.0
STARTS = 5  # of Ray
GONE_S = 300.0  # for what a killed driver has started to end: seconds, on a busy machine minutes


@dataclass
class Command:
    """The command of a step, with the same words each time, in a store of its own."""

    words: Sequence[str]
    folder: Path

    @property
    def store(self) -> Store:
        """Its store."""
        return Store(str(self.folder))

    def copied(self, name: str, *words: str) -> "Command":
        """Another one that begins with what this one has."""
        return Command([*self.words, *words], Path(shutil.copytree(self.folder, self.folder.with_name(name))))

    def start(self, step: str) -> subprocess.Popen[bytes]:
        """The command, running; Ray gives up after 30 s where a machine is too busy, and is then started again."""
        for _ in range(STARTS):
            process = self._start(step)
            while process.poll() is None and b" started: " not in self.log.read_bytes():
                time.sleep(LOOK_EVERY_S)
            if process.poll() is None or b"error: No Ray: " not in self.log.read_bytes():
                break
        return process

    @property
    def log(self) -> Path:
        """What the last command said."""
        return self.folder.with_suffix(".log")

    def _start(self, step: str) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        words = [sys.executable, "-m", f"workloads.{step}", *self.words, f"storage.root={self.folder}"]
        with self.log.open("wb") as log:
            return subprocess.Popen(words, cwd=ROOT, env=inherited, stdout=log, stderr=log, start_new_session=True)

    def run(self, step: str) -> None:
        """The command, to its end."""
        self.finish(self.start(step))

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end; it must be a good one."""
        if process.wait(TIME_LIMIT_S):
            said = self.log.read_text()[-2000:]
            raise EnvironmentFault(f"The command in {self.folder} ended with {process.returncode}:\n{said}")

    def steps(self, family: str) -> int:
        """How many steps the workers of a family wrote down so far."""
        return sum(one.num_rows for one in self.segments(family).values())

    def segments(self, family: str) -> dict[int, pa.Table]:
        """What the attempts at a family wrote down."""
        found = list((self.folder / "checkpoints").glob(f"{family}-*/history"))
        return segments.read(self.store.fs, str(found[0])) if found else {}

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill the driver, and wait for what it had started: Ray's processes end with it, its agents later."""
        started = tree(process.pid)
        process.kill()
        process.wait()
        until = time.monotonic() + GONE_S
        while left := [pid for pid in started if command(pid) and not command(pid).startswith(AGENTS)]:
            if time.monotonic() > until:
                raise EnvironmentFault(f"Processes of the killed driver still run: {left}.")
            time.sleep(LOOK_EVERY_S)
