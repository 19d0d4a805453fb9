"""A day added: the step `featurize` on what an earlier day left in the store, and on a store without features.

A folder holds a Parquet file for each day of the published card-fraud benchmark (copies of it with other ids make it
larger). The last day's file comes when the others have their features. Then `featurize` runs by turns in two stores
with the same validated rows and labels: ours has the features of the other days, the peer has none and computes all.
Both must give the same bits. Starting Ray, ingest and validate are not timed: they read all files anew either way.

    python -m benchmarks.incremental [--json FILE] [--rows-millions 1.75 14]
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import features, table
from benchmarks.features import OBJECT_STORE_BYTES, Spent
from benchmarks.table import Row
from benchmarks.usage import Usage
from workbench import cluster
from workbench.config import BenchmarkConfig, ColumnConfig, Config, LabelConfig, SourceConfig
from workbench.data import benchmark
from workbench.data.store import Artifact, Store
from workbench.errors import InputError, raise_all
from workbench.progress import say
from workloads import door, featurize, validate


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--rows-millions", type=float, nargs="+", default=[1.75, 14])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each case")
    arguments = parser.parse_args()

    def work() -> None:
        os.environ.setdefault("RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES", str(OBJECT_STORE_BYTES))
        cfg, rows = door.composed(["experiment=payments", "tracker=disabled"]), list[Row]()
        with cluster.session():
            cluster.up(cfg)
            for millions in sorted(arguments.rows_millions):
                with tempfile.TemporaryDirectory(prefix="wb-benchmark-") as folder:
                    copies = max(1, round(millions * 1e6 / 1_754_155))
                    rows += compared(cfg, BenchmarkConfig(), Path(folder), copies, arguments.rounds)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def compared(cfg: Config, size: BenchmarkConfig, folder: Path, copies: int, rounds: int) -> list[Row]:
    """The last day on top of the others, and all days."""
    cfg = of_files(cfg, folder)
    last = write_days(size, copies, folder / "files")
    featurize.run(cfg)
    shutil.move(last, folder / "files" / last.name)
    validate.run(cfg)
    earlier, alone = (at(cfg, folder / name) for name in ("store", "alone"))
    shutil.copytree(folder / "store", folder / "alone", ignore=shutil.ignore_patterns("features"))
    seen: dict[str, list[Spent]] = {"ours": [], "peer": []}
    for turn in range(rounds + 1):  # the first warms up and is compared
        made = {name: measured(one, seen[name]) for name, one in (("ours", earlier), ("peer", alone))}
        if turn == 0:
            agree(made["ours"], made["peer"])
        say(f"  round {turn} of {rounds}: {seen['ours'][-1].seconds:.2f} s and {seen['peer'][-1].seconds:.2f} s")
    return rows_of(made["ours"].rows, seen["ours"][1:], seen["peer"][1:])


def of_files(cfg: Config, folder: Path) -> Config:
    """The payments, read from files with the label in a column."""
    cfg = at(cfg, folder / "store")
    cfg.data.source = SourceConfig("file", str(folder / "files"))
    cfg.data.label = LabelConfig("fraud", "1", "0", delay_days=cfg.data.label.delay_days)
    cfg.data.columns["amount_minor"] = ColumnConfig("integer", minimum=0)  # cents already
    return cfg


def at(cfg: Config, root: Path) -> Config:
    """The same with another store."""
    other = door.composed(["experiment=payments", "tracker=disabled", f"storage.root={root}"])
    other.data = cfg.data
    return other


def write_days(size: BenchmarkConfig, copies: int, folder: Path) -> Path:
    """A file for each day in `folder`, but the last one beside it; returns that."""
    folder.mkdir(parents=True)
    events, truth = benchmark.generate(size)
    events = events.append_column("fraud", truth["label"])
    day = pc.floor_temporal(events["event_time"], unit="day").combine_chunks()
    apart = {"transaction_id": events.num_rows, "customer_id": size.customers, "terminal_id": size.terminals}
    for number, one in enumerate(pc.unique(day)):
        rows = events.filter(pc.equal(day, one))
        path = folder / f"{number:03}.parquet"
        pq.write_table(
            pa.concat_tables(features.copied(rows, copy, apart) for copy in range(copies)).sort_by("event_time"), path
        )
    return Path(shutil.move(path, folder.parent / path.name))


def measured(cfg: Config, seen: list[Spent]) -> Artifact:
    """The features of all days, made once more; what it took is added to `seen`."""
    shutil.rmtree(Path(Store(cfg.storage.root).path("features", featurize.key(cfg))), ignore_errors=True)
    with Usage(os.getpid()) as usage:
        start = time.perf_counter()
        made = featurize.run(cfg)
        seconds = time.perf_counter() - start
    seen.append(Spent(seconds, usage.cpu_s, usage.peak_bytes))
    return made


def agree(ours: Artifact, peer: Artifact) -> None:
    """Raise unless one alone was built on the other days' features, and both are the same to the last bit."""
    faults = [] if ours.figures["kept"] and not peer.figures["kept"] else ["rows were kept in neither case or in both"]
    tables = [
        featurize.table(one, [name for name, _ in one.manifest["schema"]]).combine_chunks() for one in (ours, peer)
    ]
    faults += [name for name in tables[0].column_names if not tables[0][name].equals(tables[1][name])]
    raise_all(InputError, "The updated features are not those of the whole computation. Nothing was timed:", faults)


def rows_of(rows: int, ours: Sequence[Spent], peer: Sequence[Spent]) -> list[Row]:
    """A line per figure."""

    def row(name: str, unit: str, figure: Callable[[Spent], float]) -> Row:
        mine, other = (statistics.median(map(figure, side)) for side in (ours, peer))
        return Row(f"{rows / 1e6:.2f} M, a day added: {name}", mine, other, unit)

    return [
        row("time", "s", lambda one: one.seconds),
        row("CPU time", "s", lambda one: one.cpu_s),
        row("peak memory", "MiB", lambda one: one.peak_bytes / 2**20),
    ]


if __name__ == "__main__":
    main()
