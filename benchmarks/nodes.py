"""A Ray of several nodes on this machine, as `ray start` makes it: behind a token, on ports of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loopback import free_port
from benchmarks.usage import tree
from workbench import cluster
from workbench.errors import EnvironmentFault
from workloads.endpoint.ports import SERVE_PORTS

ROOT = Path(__file__).resolve().parents[1]
UP_S = 120.0
LOG = "NODES_LOG"  # the variable that says where the nodes print
BIN = Path(sys.executable).parent
OF_ALL = ("--node-manager-port", "--object-manager-port", "--dashboard-agent-listen-port",
          "--dashboard-agent-grpc-port", "--runtime-env-agent-port", "--metrics-export-port")  # fmt: skip
SERVE_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg", "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "", "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}  # fmt: skip
OF_HEAD = ("--port", "--dashboard-port", "--ray-client-server-port")
QUICK = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "8"}  # a lost node: 8 s, not 15


@dataclass
class Nodes:
    """A running cluster: its variables, where jobs go, and its nodes' processes."""

    environment: dict[str, str]
    dashboard: str
    folder: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""
    head: subprocess.Popen[bytes] | None = None

    def add(self, cpus: int = 2) -> subprocess.Popen[bytes]:
        """One more node."""
        ports = [f"{name}={free_port()}" for name in OF_ALL]
        own = tempfile.mkdtemp(prefix="n", dir=self.folder)  # each unpacks jobs' code, over what another's jobs run in
        words = ["--address", self.address, f"--num-cpus={cpus}", f"--temp-dir={own}", *ports]
        node = _started(words, self.environment)
        self.workers.append(node)
        return node

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Lose a node as a machine is lost: all of its processes at once, by SIGKILL."""
        _kill(tree(node.pid))
        node.wait(30)
        self.workers.remove(node)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command of this Python, as a client of the cluster."""
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment | variables, capture_output=True, text=True,
            timeout=400, check=False,
        )  # fmt: skip

    def submit(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m workloads.submit` to this cluster."""
        return self.run("-m", "workloads.submit", *words, "--address", self.dashboard, **variables)

    def wait(self, count: int) -> None:
        """Return when the cluster counts so many nodes."""
        until = time.monotonic() + UP_S
        while self.alive() != count:
            for node in [one for one in self.workers if one.poll() is not None]:
                self.workers.remove(node)  # a busy machine did not start it in time
                self.add()
            if time.monotonic() > until:
                said = Path(self.environment[LOG]).read_text()[-3000:]
                raise EnvironmentFault(f"{self.alive()} nodes are up after {UP_S:g} s, not {count}:\n{said}")
            time.sleep(0.5)

    def alive(self) -> int:
        """How many nodes the cluster counts."""
        headers = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        asked = urllib.request.Request(f"{self.dashboard}/api/v0/nodes?detail=true", headers=headers)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
                found = json.load(answer)["data"]["result"]["result"]
        except (OSError, ValueError):
            return 0
        return sum(node["state"] == "ALIVE" for node in found)


@contextlib.contextmanager
def running(folder: Path, cpus: Sequence[int] = (1, 2, 2)) -> Iterator[Nodes]:
    """A cluster with a node for each number of CPUs, the head first; store, keys and journal lie in the folder."""
    place = tempfile.mkdtemp(prefix="wbn-")  # short: a path of a socket has 107 bytes at the most
    own = _environment(folder, place)
    ports = {name: str(free_port()) for name in (*OF_HEAD, *OF_ALL)}
    nodes = Nodes(own, f"http://127.0.0.1:{ports['--dashboard-port']}", place, address=f"127.0.0.1:{ports['--port']}")
    words = ["--head", f"--num-cpus={cpus[0]}", f"--temp-dir={place}", *[f"{key}={at}" for key, at in ports.items()]]
    nodes.head = head = _started(words, own)
    try:
        nodes.wait(1)
        for up, count in enumerate(cpus[1:], start=2):  # one after the other: Ray gives each of them 30 s
            nodes.add(count)
            nodes.wait(up)
        yield nodes
    finally:
        _end([*nodes.workers, head])
        shutil.rmtree(place, ignore_errors=True)


def _environment(folder: Path, place: str) -> dict[str, str]:
    """The variables of a fresh user and of every node, with a token, and with what Serve takes of a host moved away."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "WORKBENCH_"))}
    own = {f"WORKBENCH_{name}": str(folder / name.lower()) for name in ("STORE", "KEYS", "JOURNAL")}
    own |= {name: str(free_port()) for name in SERVE_PORTS}
    own |= {name: f"{place}/{file}" for name, file in SERVE_FILES.items()}
    own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return inherited | cluster.ENVIRONMENT | QUICK | own | {LOG: str(folder / "nodes.log")}


def _started(words: Sequence[str], own: dict[str, str]) -> subprocess.Popen[bytes]:
    start: list[str] = [str(BIN / "ray"), "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
             "--object-store-memory=200000000", *words]  # fmt: skip
    with Path(own[LOG]).open("ab") as log:
        return subprocess.Popen(start, env=own, start_new_session=True, stdout=log, stderr=log)


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """End them by their process ids, gently first."""
    left = [pid for node in started for pid in tree(node.pid)]
    for node in started:
        node.send_signal(signal.SIGTERM)
    for node in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.wait(30)
    _kill(left)
    for node in started:
        node.wait(30)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
