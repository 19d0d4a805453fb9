"""Our endpoint against other servers of the same trees, by wrk, at 1, 16 and 64 connections, in one run.

Ours gets raw transactions: it checks a key, computes features from its state, scores the registered ensemble and writes
a record before it answers. The peers (`serving_peers.py`) get features and do nothing but score the ensemble's trees:
a bare FastAPI + uvicorn twin, and BentoML and MLServer where an interpreter that has them is named. Each has one
process; the load generator shares the machine with them. Each case is the median over the rounds, which alternate.

Then the twin and ours get the same load, half of what the twin can do, in an open loop; the batch route is asked; and
with --default-proxy our endpoint runs once more behind Serve's default proxy instead of HAProxy.

    python -m benchmarks.serving [--json FILE] [--seconds 8] [--rounds 3] [--peers bentoml=PYTHON mlserver=PYTHON]
                                 [--default-proxy] [KEY=VALUE ...]
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import apart, serving_evenly, serving_peers, table, wrk
from benchmarks.serving_fresh import Fresh
from benchmarks.table import Row
from benchmarks.wrk import Seen
from workbench import cluster
from workbench.config import Config
from workbench.data import snapshots
from workbench.errors import EnvironmentFault
from workbench.evaluation import protocol
from workbench.features.definitions import FeatureSet
from workbench.progress import say
from workloads import door, featurize, replay, train
from workloads.endpoint.live import Live, live

CONNECTIONS = (1, 16, 64)
BATCHES, ROWS = 2.5, 1000  # so many batches for every second of a round
ASKED_ROWS_PER_S = 8000


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    parser.add_argument("--peers", nargs="+", default=[], metavar="NAME=PYTHON", help="bentoml, mlserver")
    parser.add_argument("--default-proxy", action="store_true", help="ours behind Serve's default proxy as well")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        pythons = serving_peers.named(arguments.peers)
        cfg = apart.configured(arguments.overrides)
        with apart.prepared(cfg) as folder:
            rows = compared(cfg, folder, pythons, arguments.seconds, arguments.rounds)
        if arguments.default_proxy:
            rows += slower_proxy(rows, arguments.seconds, arguments.overrides)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def compared(cfg: Config, folder: Path, pythons: dict[str, str], seconds: float, rounds: int) -> list[Row]:
    """All sides measured in turn."""
    ours, features = events(cfg)
    model = trees(cfg, folder)
    with live(cfg) as endpoint, contextlib.ExitStack() as stack:
        peers = {
            name: stack.enter_context(serving_peers.SERVERS[name](python, model, features))
            for name, python in pythons.items()
        }
        sent = wrk.write_bodies(folder / "ours.jsonl", ours)
        sides = {"ours": Fresh(f"{endpoint.url}/v1/score", sent, seconds, endpoint.api_key)}
        sides |= {name: Fresh(peer.url, peer.bodies, seconds) for name, peer in peers.items()}
        for measure in sides.values():
            measure(CONNECTIONS[0])  # warm all
        seen: dict[int, dict[str, list[Seen]]] = {n: {side: [] for side in sides} for n in CONNECTIONS}
        for turn in range(rounds):
            say(f"  round {turn + 1} of {rounds}")
            for n in CONNECTIONS:
                for side, measure in sides.items():
                    seen[n][side].append(measure(n))
        rows = [row for n in CONNECTIONS for row in _rows(n, **seen[n])]
        half = statistics.median(one.requests_per_s for one in seen[16]["twin"]) / 2
        rows += serving_evenly.compared(endpoint, sides, half, seconds)
        return [*rows, batched(endpoint, sides["ours"].next(max(1, round(BATCHES * seconds)) * ROWS))]


def slower_proxy(rows: list[Row], seconds: float, overrides: Sequence[str]) -> list[Row]:
    """Our throughput as it was measured, beside ours behind Serve's default proxy, in a Ray of its own."""
    with tempfile.NamedTemporaryFile(prefix="wb-benchmark-", suffix=".json") as told:
        off = dict.fromkeys(cluster.SERVE_VARIABLES, "0")
        command = [sys.executable, "-m", "benchmarks.serving_alone", told.name, str(seconds), *overrides]
        done = subprocess.run(command, env=os.environ | off, check=False)
        if done.returncode:
            raise EnvironmentFault(f"behind the default proxy it ended with {done.returncode}. See its error above.")
        there = {_case("throughput", int(n)): value for n, value in json.load(told).items()}
    return [Row(f"{row.case}: default proxy", row.ours, there[row.case], row.unit) for row in rows if row.case in there]


def batched(endpoint: Live, fresh: Sequence[bytes]) -> Row:
    """The batch route, one call after the other; the other side is what is asked."""
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


def events(cfg: Config) -> tuple[list[bytes], list[list[float]]]:
    """The same events as raw transactions for us and as ready-made features for the peers."""
    raw = replay.events_of(cfg)
    names = FeatureSet.of(cfg.features, cfg.data).names
    days = protocol.between(cfg.data.event_time, replay.span(cfg, raw)[0].date(), cfg.replay.days)
    features = snapshots.read(featurize.run(cfg), [cfg.data.id, *names], days).sort_by(cfg.data.id)
    listed = zip(*(features[name].to_pylist() for name in names), strict=True)
    return replay.bodies(cfg, raw), [list(row) for row in listed]


def trees(cfg: Config, folder: Path) -> Path:
    """The ensemble's trees as XGBoost's own file."""
    path = folder / "xgboost.ubj"
    path.write_bytes(train.run(cfg).read_bytes(f"xgboost/{protocol.TEST}-seed{cfg.train.seeds[0]}.native"))
    return path


def _case(name: str, connections: int) -> str:
    return f"{name}, {connections} connection{'s'[: connections > 1]}"


def _rows(connections: int, ours: list[Seen], **peers: list[Seen]) -> list[Row]:
    def row(name: str, unit: str, figure: Callable[[Seen], float], peer: str) -> Row:
        middle = [statistics.median(figure(one) for one in side) for side in (ours, peers[peer])]
        case = _case(name, connections)
        return Row(case if peer == "twin" else f"{case}: {peer}", middle[0], middle[1], unit)

    return [
        row(name, unit, figure, peer)
        for peer in peers
        for name, unit, figure in (
            ("throughput", "requests/s", lambda one: one.requests_per_s),
            ("latency p50", "ms", lambda one: one.p50_ms),
            ("latency p99", "ms", lambda one: one.p99_ms),
        )
    ]


if __name__ == "__main__":
    main()
