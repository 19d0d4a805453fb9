"""Our features against Polars, DuckDB, pandas and Spark: Parquet in, the 12 windowed features of payments, Parquet out.

The published card-fraud benchmark (1.75 million rows), and copies of it with other ids. Ours has Ray already up, as a
cluster has; every peer has its process and imports (Spark: its session) ready. Each side runs once to warm up, and what
it wrote then is compared with ours, row for row; then the rounds are timed in turn, and the medians shown. Memory is
the peak of the whole process tree, with all of Ray's processes and its object store (`usage.py`). pandas and Spark
are timed at the smallest size only.

The peers have it easier: the label stands in their rows, and all labels are known after the delay. Ours come as rows of
the ledger (those that say fraud), each with the time since which it is known.

    python -m benchmarks.features [--json FILE] [--rows-millions 1.75 14 28] [--peers polars,duckdb,pandas,spark]
"""

import argparse
import contextlib
import datetime as dt
import itertools
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import feature_check, feature_peers, table
from benchmarks.table import Row
from benchmarks.usage import Usage
from workbench import cluster
from workbench.config import BenchmarkConfig, Config
from workbench.data import benchmark, conform, labels, parquet
from workbench.data.sources import ROWS_PER_BLOCK
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, InputError, raise_all
from workbench.features import distributed
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import NO_TABLES
from workbench.progress import say
from workloads import door

SLOW = ("pandas", "spark")
OBJECT_STORE_BYTES = 2 * 2**30  # of shared memory; what does not fit is spilled to disk


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--rows-millions", type=float, nargs="+", default=[1.75, 14, 28])
    parser.add_argument("--peers", type=_peers, default=list(feature_peers.PEERS), metavar="NAME,NAME")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the peers' packages")
    arguments = parser.parse_args()

    def work() -> None:
        os.environ.setdefault("RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES", str(OBJECT_STORE_BYTES))
        cfg = windowed(door.composed(["tracker=disabled"]))
        require(arguments.python, arguments.peers)
        with cluster.session(), tempfile.TemporaryDirectory(prefix="wb-benchmark-") as folder:
            cluster.up(cfg)
            sizes = [max(1, round(millions * 1e6 / 1_754_155)) for millions in sorted(arguments.rows_millions)]
            rows = compared(
                cfg, BenchmarkConfig(), Path(folder), sizes, arguments.peers, arguments.rounds, arguments.python
            )
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def _peers(words: str) -> list[str]:
    names = words.split(",")
    if unknown := sorted(set(names) - set(feature_peers.PEERS)):
        raise argparse.ArgumentTypeError(
            f"{','.join(unknown)}: no such peer. Choose from {','.join(feature_peers.PEERS)}."
        )
    return names


def windowed(cfg: Config) -> Config:
    """The configuration with the views that have windows: those of the row alone are the same one-liner everywhere."""
    cfg.features.views = [view for view in cfg.features.views if view.entity]
    return cfg


def require(python: str, peers: Sequence[str]) -> None:
    """Raise for all peers at once whose package this interpreter has not."""
    packages = [feature_peers.PACKAGES[peer] for peer in peers]
    code = "import sys, importlib.util as u; print(*[one for one in sys.argv[1:] if not u.find_spec(one)], sep=', ')"
    said = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout.strip()
    if said:
        raise EnvironmentFault(
            f"{python} has no {said}. Install them: pip install -c constraints.txt -e '.[bench,spark]'; or name an"
            " interpreter that has them by --python, or fewer peers by --peers."
        )


@dataclass(frozen=True)
class Input:
    """The same rows for both sides."""

    snapshot: Artifact  # ours
    history: pa.Table  # rows of the label ledger
    labelled: Path  # a folder of Parquet files, for the peers


def inputs(cfg: Config, size: BenchmarkConfig, copies: int, store: Store) -> Input:
    """The generated rows as often as told, each time with other transactions, customers and terminals."""
    events, truth = benchmark.generate(size)
    events = conform.finished(cfg.data, _apart(events), 0)
    stage, labelled, histories = store.stage("validated", f"{copies}x"), Path(store.root, f"peers-{copies}x"), []
    labelled.mkdir(parents=True)
    for copy in range(copies):
        rows = copied(
            events,
            copy,
            {"transaction_id": events.num_rows, "customer_id": size.customers, "terminal_id": size.terminals},
        )
        histories.append(_history(cfg, rows, truth["label"]))
        for start in range(0, rows.num_rows, ROWS_PER_BLOCK):
            block = rows.slice(start, ROWS_PER_BLOCK)
            stage.files.append(parquet.write_table(store.fs, stage.folder, block))
            with_label = block.append_column("label", truth["label"].slice(start, ROWS_PER_BLOCK))
            parquet.write_table(store.fs, str(labelled), with_label)
    return Input(stage.commit({}, copies), pa.concat_tables(histories), labelled)


def _apart(events: pa.Table) -> pa.Table:
    """No two events of a second tie: SQL's and Polars' windows see all of an instant, ours the smaller ids of it."""
    micros = pc.add(events["event_time"].cast(pa.int64()), pa.array(np.arange(events.num_rows) % 1_000_000))
    place = events.column_names.index("event_time")
    return events.set_column(place, "event_time", micros.cast(events.schema.field(place).type))


def copied(rows: pa.Table, copy: int, ids: dict[str, int]) -> pa.Table:
    """The rows with the ids (by name, how many there are) of another copy."""
    for name, distance in ids.items():
        rows = rows.set_column(rows.column_names.index(name), name, pc.add(rows[name], copy * distance))
    return rows


def _history(cfg: Config, rows: pa.Table, label: pa.ChunkedArray) -> pa.Table:
    frauds = rows.filter(pc.equal(label, 1))
    delay = pa.scalar(round(cfg.data.label.delay_days * 86_400e6), pa.duration("us"))
    return labels.rows(
        cfg.data.id,
        frauds[cfg.data.id],
        pa.chunked_array([pa.repeat(pa.scalar(1, pa.int8()), frauds.num_rows)]),
        frauds[cfg.data.event_time],
        pc.add(frauds[cfg.data.event_time], delay),
        source=cfg.data.name,
        channel="source",
        recorded_at=dt.datetime.now(dt.UTC),
    )


@dataclass(frozen=True)
class Spent:
    """What one run of one side took."""

    seconds: float
    cpu_s: float
    peak_bytes: int


class Ours:
    """The product: the snapshot's rows through the chain into another snapshot, by this process's Ray."""

    name = "ours"

    def __init__(self, cfg: Config, source: Input) -> None:
        self.cfg, self.source, self.feature_set = cfg, source, FeatureSet.of(cfg.features, cfg.data)
        self.stage = source.snapshot.store.stage("features", source.snapshot.key)
        self.output = self.stage.folder

    def run(self, others: frozenset[int]) -> Spent:
        """Write the features once; `others` are processes that only wait."""
        shutil.rmtree(self.output, ignore_errors=True)
        with Usage(os.getpid(), others) as usage:
            start = time.perf_counter()
            positives = PositiveIntervals.of(self.source.history, self.cfg.data.id)
            chain = distributed.chain(self.source.snapshot, self.feature_set, positives, NO_TABLES, self._finish())
            schema = chain.write(self.stage)
            artifact = self.stage.commit({"validated": self.source.snapshot.key}, None, {}, schema)
            seconds = time.perf_counter() - start
        assert artifact.rows == self.source.snapshot.rows
        return Spent(seconds, usage.cpu_s, usage.peak_bytes)

    def _finish(self) -> Callable[[pa.Table], pa.Table]:
        kept = [self.cfg.data.id, self.cfg.data.event_time, *self.cfg.data.entities]
        names = self.feature_set.names

        def finish(rows: pa.Table) -> pa.Table:
            return pa.table({**{n: rows[n] for n in kept}, **{n: rows[distributed.PREFIX + n] for n in names}})

        return finish


class Peer:
    """One of the others, in a process of its own that waits for the next round."""

    def __init__(self, name: str, python: str, source: Input, folder: Path) -> None:
        self.name, self.output = name, str(folder / f"{name}.parquet")
        words = [python, feature_peers.__file__, name, str(source.labelled), self.output]
        own = {"PYSPARK_PYTHON": python, "SPARK_LOCAL_DIRS": str(folder)}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **own}
        )
        self._answer()

    def run(self, others: frozenset[int]) -> Spent:
        """Write the features once."""
        assert self.process.stdin
        with Usage(self.process.pid, others - {self.process.pid}) as usage:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            seconds = float(self._answer())
        return Spent(seconds, usage.cpu_s, usage.peak_bytes)

    def close(self) -> None:
        """End the process."""
        self.process.communicate(timeout=60)

    def _answer(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        raise EnvironmentFault(
            f"{self.name} ended with {self.process.wait()}: see its words above, or leave it out by --peers."
        )


def compared(
    cfg: Config,
    size: BenchmarkConfig,
    folder: Path,
    sizes: Sequence[int],
    peers: Sequence[str],
    rounds: int,
    python: str,
) -> list[Row]:
    """All sides at all sizes (in copies of the published data)."""
    rows = []
    for copies in sizes:
        source = inputs(cfg, size, copies, Store(str(folder / "store")))
        chosen = [peer for peer in peers if copies == sizes[0] or peer not in SLOW]
        seen = measured(cfg, source, chosen, rounds, python, folder)
        rows += [row for peer in chosen for row in _rows(source.snapshot.rows, peer, seen["ours"], seen[peer])]
        shutil.rmtree(folder / "store")
    return rows


def measured(
    cfg: Config, source: Input, peers: Sequence[str], rounds: int, python: str, folder: Path
) -> dict[str, list[Spent]]:
    """Each side's rounds, after all were seen to write the same."""
    with contextlib.ExitStack() as stack:
        ours, others = Ours(cfg, source), [Peer(name, python, source, folder) for name in peers]
        for peer in others:
            stack.callback(peer.close)
        waiting = frozenset(peer.process.pid for peer in others)
        sides: list[Ours | Peer] = [ours, *others]
        for side in sides:
            side.run(waiting)
            agree(ours, side)
        seen: dict[str, list[Spent]] = {side.name: [] for side in sides}
        for turn, side in itertools.product(range(rounds), sides):
            seen[side.name].append(side.run(waiting))
            say(f"  round {turn + 1} of {rounds}: {side.name} {seen[side.name][-1].seconds:.2f} s")
    return seen


def agree(ours: Ours, peer: Ours | Peer) -> None:
    """Say that the peer wrote the same numbers, or raise with what differs."""
    names = ours.feature_set.names
    counts = [name for name in names if "_count" in name]
    arguments = (ours.output, peer.output, ours.cfg.data.id, counts, [name for name in names if name not in counts])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # its memory is not ours
        faults, worst = apart.submit(feature_check.disagreements, *arguments).result()
    raise_all(InputError, f"{peer.name} does not compute what we do. Nothing was timed.", faults)
    say(f"  {peer.name}: {ours.source.snapshot.rows:,} rows, counts equal, means and risks within {worst:.1e}")


def _rows(rows: int, peer: str, ours: list[Spent], theirs: list[Spent]) -> list[Row]:
    def row(name: str, unit: str, figure: Callable[[Spent], float], of: Callable[[list[float]], float]) -> Row:
        mine, other = (of([figure(one) for one in side]) for side in (ours, theirs))
        return Row(f"{rows / 1e6:.2f} M, {peer}: {name}", mine, other, unit)

    return [
        row("time", "s", lambda one: one.seconds, statistics.median),
        row("throughput", "rows/s", lambda one: rows / one.seconds, statistics.median),
        row("CPU time", "s", lambda one: one.cpu_s, statistics.median),
        row("peak memory", "MiB", lambda one: one.peak_bytes / 2**20, max),
    ]


if __name__ == "__main__":
    main()
