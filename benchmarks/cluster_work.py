"""A step as a job on a cluster of this machine, disturbed while it works: a node is lost, or the job's own process."""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.nodes import ROOT, Nodes
from benchmarks.usage import command, tree
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.training import segments

LOOK_EVERY_S = 0.05
PAUSE_S = 1.0  # before a kill: the step that was written down last has its checkpoint by then
LIMIT_S = 400.0
WORKING = {  # how Ray calls the processes that do a step's work
    "train": (b"ray::RayTrainWorker",),
    "tune": (b"ray::ImplicitFunc", b"ray::Trial", b"ray::trial"),
    "featurize": (b"ray::Map", b"ray::Read", b"ray::MapBatches", b"ray::reduce", b"ray::map", b"ray::_"),
}


@dataclass
class Work:
    """Steps of one config with one store, as jobs on a cluster."""

    nodes: Nodes
    folder: Path
    words: Sequence[str]
    logs: dict[int, Path] = field(default_factory=dict)  # by the client's process

    @property
    def store(self) -> Store:
        """What the jobs have left."""
        return Store(str(self.folder))

    def copied(self, name: str) -> "Work":
        """The same steps with a store that begins with what this one has."""
        other = Work(self.nodes, self.folder.with_name(name), self.words)
        shutil.copytree(self.folder, other.folder)
        return other

    def start(self, step: str, *more: str) -> subprocess.Popen[bytes]:
        """The client that submits a step and follows it."""
        words = [step, *self.words, f"storage.root={self.folder}", "--follow", "--address", self.nodes.dashboard, *more]
        log = self.folder.with_name(f"{self.folder.name}-{step}-{len(self.logs)}.log")
        with log.open("wb") as sink:
            client = subprocess.Popen(
                [sys.executable, "-m", "workloads.submit", *words],
                cwd=ROOT, env=self.nodes.environment, stdout=sink, stderr=sink,
            )  # fmt: skip
        self.logs[client.pid] = log
        return client

    def finish(self, client: subprocess.Popen[bytes]) -> int:
        """The exit code of a job that is waited for."""
        return client.wait(LIMIT_S)

    def said(self, client: subprocess.Popen[bytes]) -> str:
        """What the client has printed."""
        return self.logs[client.pid].read_text()

    def run(self, step: str) -> None:
        """A step as a job, to its end; it must be a good one."""
        client = self.start(step)
        if code := self.finish(client):
            raise EnvironmentFault(f"{step} ended with {code}:\n{self.said(client)[-3000:]}")

    def steps(self) -> int:
        """How many steps the workers of all families have written down."""
        found = (self.folder / "checkpoints").glob("*/history")
        return sum(one.num_rows for path in found for one in segments.read(self.store.fs, str(path)).values())

    def kill_a_node(self, client: subprocess.Popen[bytes], step: str, after: int = 0) -> bool:
        """Whether a node was lost while it did the step's work, `after` so many training steps; never the head."""
        until = time.monotonic() + LIMIT_S
        while client.poll() is None and time.monotonic() < until:
            if self.steps() >= after and (busy := self._busy(step)):
                time.sleep(PAUSE_S)
                self.nodes.kill(busy)
                return True
            time.sleep(LOOK_EVERY_S)
        return False

    def kill_driver(self, client: subprocess.Popen[bytes], step: str, after: int) -> bool:
        """Whether the job's own process was killed while it worked, `after` so many training steps."""
        until, head = time.monotonic() + LIMIT_S, self.nodes.head
        assert head is not None
        while client.poll() is None and time.monotonic() < until:
            if self.steps() >= after and (found := [pid for pid in tree(head.pid) if _driver(pid, step)]):
                time.sleep(PAUSE_S)
                for pid in found:
                    subprocess.run(["kill", "-9", str(pid)], check=False)
                return True
            time.sleep(LOOK_EVERY_S)
        return False

    def _busy(self, step: str) -> subprocess.Popen[bytes] | None:
        for node in self.nodes.workers:
            if any(command(pid).startswith(WORKING[step]) for pid in tree(node.pid)):
                return node
        return None


def _driver(pid: int, step: str) -> bool:
    words = command(pid).split(b"\0")
    return f"workloads.{step}".encode() in words and b"--resolved" in words
