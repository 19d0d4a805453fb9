"""Our endpoint against a bare FastAPI + uvicorn + XGBoost twin, by wrk, at 1, 16 and 64 connections.

Ours gets raw transactions: it checks a key, computes features from its state, scores the registered ensemble and writes
a record before it answers. The twin gets features and does nothing but score the ensemble's trees. Both have one
process; the load generator shares the machine with them. Each case is the median over the rounds, which alternate.

    python -m benchmarks.serving [--json FILE] [--seconds 8] [--rounds 3] [KEY=VALUE ...]
"""

import contextlib
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow.fs import LocalFileSystem

from benchmarks import table, wrk
from benchmarks.table import Row
from benchmarks.wrk import Seen
from workbench import cluster
from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault
from workbench.evaluation import protocol
from workbench.features.definitions import FeatureSet
from workbench.progress import say
from workloads import deploy, door, featurize, register, replay, train

CONNECTIONS = (1, 16, 64)
BATCHES, ROWS = 20, 1000
ASKED_ROWS_PER_S = 8000


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        cfg = configured(arguments.overrides)
        with cluster.session(), tempfile.TemporaryDirectory(prefix="wb-benchmark-") as folder:
            register.run(cfg)
            set_apart(cfg, Path(folder))
            rows = compared(cfg, Path(folder), arguments.seconds, arguments.rounds)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def configured(overrides: Sequence[str]) -> Config:
    """The configuration with an application, a port and a journal of the benchmark's own."""
    own = ["serve.application=benchmark", f"serve.port={free_port()}", "tracker=disabled", "replay.days=40"]
    return door.composed([*own, *overrides])


def set_apart(cfg: Config, folder: Path) -> None:
    """Let the endpoint write into copies of the tables, since its decisions here are none; the artifacts are shared."""
    store = Store(cfg.storage.root)
    if not isinstance(store.fs, LocalFileSystem):
        raise ConfigError(f"storage.root={cfg.storage.root} is not on this machine. Use a local one for benchmarks.")
    cfg.storage.root, cfg.serve.journal = str(folder / "store"), str(folder / "journal")
    (folder / "store").mkdir()
    for part in Path(store.root).iterdir():
        if part.name != "tables":
            (folder / "store" / part.name).symlink_to(part)
    shutil.copytree(store.path("tables"), folder / "store" / "tables", ignore=lambda *_: ["predictions"])


def compared(cfg: Config, folder: Path, seconds: float, rounds: int) -> list[Row]:
    """Both sides measured in turn."""
    with deploy.live(cfg) as endpoint, twin(cfg, folder) as twin_url:
        ours, theirs = bodies(cfg, folder)
        sides = {
            "ours": Fresh(f"{endpoint.url}/v1/score", ours, seconds, endpoint.api_key),
            "peer": Fresh(f"{twin_url}/score", theirs, seconds),
        }
        for measure in sides.values():
            measure(CONNECTIONS[0])  # warm both
        seen: dict[int, dict[str, list[Seen]]] = {n: {side: [] for side in sides} for n in CONNECTIONS}
        for turn in range(rounds):
            say(f"  round {turn + 1} of {rounds}")
            for n in CONNECTIONS:
                for side, measure in sides.items():
                    seen[n][side].append(measure(n))
        batch = batched(endpoint, ours, sides["ours"].sent)
    return [*(row for n in CONNECTIONS for row in _rows(n, **seen[n])), batch]


def batched(endpoint: deploy.Live, bodies: Path, sent: int) -> Row:
    """The batch route, one call after the other; the other side is what is asked."""
    events = bodies.read_bytes().splitlines()
    fresh = [events[(sent + n) % len(events)] for n in range(BATCHES * ROWS)]
    address = urlsplit(endpoint.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    headers = {"authorization": f"Bearer {endpoint.api_key}", "content-type": "application/json"}
    started = time.perf_counter()
    for start in range(0, len(fresh), ROWS):
        body = b'{"events":[' + b",".join(fresh[start : start + ROWS]) + b"]}"
        connection.request("POST", f"{address.path}/v1/score:batch", body, headers)
        answer = connection.getresponse()
        if answer.status != 200 or b'"error"' in answer.read():
            raise EnvironmentFault(f"{endpoint.url}/v1/score:batch answered {answer.status}. See its log.")
    seconds = time.perf_counter() - started
    connection.close()
    return Row(f"batch route, {ROWS} rows a call", len(fresh) / seconds, ASKED_ROWS_PER_S, "rows/s (peer: asked)")


class Fresh:
    """Measurements that go on where the last one ended: a repeated event would be less work."""

    def __init__(self, url: str, bodies: Path, seconds: float, key: str | None = None) -> None:
        self.url, self.bodies, self.seconds, self.key, self.sent = url, bodies, seconds, key, 0

    def __call__(self, connections: int) -> Seen:
        """What was seen at a number of connections."""
        seen = wrk.run(self.url, self.bodies, connections, self.seconds, self.sent, self.key)
        self.sent += seen.requests + connections  # those under way at the end were sent too
        return seen


def bodies(cfg: Config, folder: Path) -> tuple[Path, Path]:
    """The same events as raw transactions for us and as ready-made features for the twin."""
    events = replay.events_of(cfg)
    names = FeatureSet.of(cfg.features, cfg.data).names
    days = protocol.between(cfg.data.event_time, replay.span(cfg, events)[0].date(), cfg.replay.days)
    features = snapshots.read(featurize.run(cfg), [cfg.data.id, *names], days).sort_by(cfg.data.id)
    listed = zip(*(features[name].to_pylist() for name in names), strict=True)
    ready = [json.dumps({"features": list(row)}).encode() for row in listed]
    ours = wrk.write_bodies(folder / "ours.jsonl", replay.bodies(cfg, events))
    return ours, wrk.write_bodies(folder / "peer.jsonl", ready)


@contextlib.contextmanager
def twin(cfg: Config, folder: Path) -> Iterator[str]:
    """The twin's URL, while it lives."""
    port, model = free_port(), folder / "xgboost.ubj"
    model.write_bytes(train.run(cfg).read_bytes(f"xgboost/{protocol.TEST}-seed{cfg.train.seeds[0]}.native"))
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.twin", str(model), str(port)])
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise EnvironmentFault("The FastAPI twin did not start. Install the development packages: make setup.")


def _rows(connections: int, ours: list[Seen], peer: list[Seen]) -> list[Row]:
    def row(name: str, unit: str, figure: Callable[[Seen], float]) -> Row:
        middle = [statistics.median(figure(one) for one in side) for side in (ours, peer)]
        return Row(f"{name}, {connections} connection{'s'[: connections > 1]}", middle[0], middle[1], unit)

    return [
        row("throughput", "requests/s", lambda one: one.requests_per_s),
        row("latency p50", "ms", lambda one: one.p50_ms),
        row("latency p99", "ms", lambda one: one.p99_ms),
    ]


if __name__ == "__main__":
    main()
