"""Nodes of a Ray cluster on this host, each started by the commands of a cluster file, in a home of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.loop import commands
from tests.loop.commands import ROOT, free_port

PORTS = ("--dashboard-agent-listen-port", "--dashboard-agent-grpc-port", "--runtime-env-agent-port",
         "--metrics-export-port")  # fmt: skip
OF_A_HEAD = ("--dashboard-port", "--ray-client-server-port")


@dataclass
class Node:
    """A machine as `ray up` sets it up: code, environment and what it is given lie in its home."""

    home: Path
    head_ip: str
    gcs_port: int
    options: dict[str, int | float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        told = " ".join(f"{name}={value}" for name, value in self.options.items())
        own = {"HOME": str(self.home), "PATH": os.environ["PATH"], "RAY_HEAD_IP": self.head_ip}
        return own | {"WORKBENCH_RAY_PORT": str(self.gcs_port), "WORKBENCH_RAY_OPTIONS": told, **self.settings}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """One command of the cluster file, as `ray up` runs it over SSH."""
        return subprocess.run(
            ["bash", "-c", command], env=self.environment, capture_output=True, text=True, check=False, timeout=180
        )

    def pid(self, name: str = "pid") -> int | None:
        path = self.home / "ray-node" / name
        return int(path.read_text()) if path.exists() else None

    def end(self) -> None:
        """By the ids of its own processes."""
        for pid in filter(None, (self.pid("jupyter_pid"), self.pid())):
            left = commands.descendants(pid)
            if commands.alive([pid]):
                os.kill(pid, signal.SIGTERM)
            commands.wait_until(lambda pid=pid: not commands.alive([pid]), 30)
            commands.kill([pid, *left])


@dataclass
class Nodes:
    """A head and its workers."""

    folder: Path
    head: Node
    workers: list[Node]

    @property
    def given(self) -> Path:
        return self.folder / "given"

    @property
    def token(self) -> str:
        return (self.given / "ray_token").read_text().strip()

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.head.options['--dashboard-port']}"

    @property
    def all(self) -> list[Node]:
        return [self.head, *self.workers]

    def end(self) -> None:
        for node in reversed(self.all):
            node.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def prepared(workers: int, environment: dict[str, str]) -> Nodes:
    """Homes for a head and workers, nothing started: `prepare.sh` has made what all are given."""
    folder = Path(tempfile.mkdtemp(prefix="wbn-"))  # short: a path of a socket has 107 bytes at the most
    script = ROOT / "deploy" / "clusters" / "prepare.sh"
    subprocess.run(["bash", script, folder / "given"], check=True, capture_output=True, timeout=60)
    lines = "".join(f"{name}={value}\n" for name, value in environment.items())
    (folder / "given" / "environment").write_text(lines)
    gcs_port, ip = free_port(), _ip()
    made = [Node(_home(folder, number), ip, gcs_port, _options(head=number == 0)) for number in range(workers + 1)]
    return Nodes(folder, made[0], made[1:])


def _ip() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


def _options(head: bool) -> dict[str, int | float]:
    ports = {name: free_port() for name in (*PORTS, *(OF_A_HEAD if head else ()))}
    return {**ports, "--num-cpus": 1, "--object-store-memory": 150_000_000}


def _home(folder: Path, number: int) -> Path:
    home = folder / str(number)
    (home / "ray-node").mkdir(parents=True)
    (home / "workbench").symlink_to(ROOT)
    (home / "venv").symlink_to(sys.prefix)
    shutil.copytree(folder / "given", home / "ray-node" / "given")
    return home
