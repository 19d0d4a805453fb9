"""What of `featurize` will not scale: measured at 1, 4 and 16 partitions per core, each figure per million rows.

Runs the step itself on the published card-fraud benchmark; only the number of partitions, which the step would choose
by the rows, is ours. What grows with the partitions is lost on a large cluster:

tasks       CPU time of starting tasks and passing their parts on: the same graph on next to no rows
parts       every pair of partitions exchanges one, so that they grow with the square
shuffled    bytes of all parts, as they lie in the object store (compressed where the step compresses them)
driver      peak of the driver's own memory above what it had before
references  the same on next to no rows: what the driver needs to know where parts are
labels      tables of all rows' labels that the driver holds and sends to every node: they grow with the rows
manifest    what names the files of the result

`ours` is the figure at so many partitions per core, `peer` the one at the fewest.

    python -m benchmarks.scaling [--json FILE] [--partitions-per-core 1 4 16] [KEY=VALUE ...]
"""

import contextlib
import ctypes
import dataclasses
import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pyarrow as pa

from benchmarks import table
from benchmarks.table import Row
from benchmarks.usage import Usage
from workbench import cluster
from workbench.config import Config
from workbench.data import labels, shuffle
from workbench.data.shuffle import Chain
from workbench.data.store import Artifact, Stage, Store
from workbench.features import distributed
from workbench.progress import say
from workloads import door, featurize, validate

NEXT_TO_NONE = ("data.source.benchmark.customers=40", "data.source.benchmark.terminals=60")  # 5,000 rows
UNITS = {"time": "s", "CPU": "s", "tasks": "s of CPU", "parts": "", "shuffled": "MB", "driver": "MB",
         "references": "MB", "labels": "MB", "manifest": "KB"}  # fmt: skip
EVERY_S = 0.01
PAGE_BYTES = 4096


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--partitions-per-core", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="wb-scaling-") as folder, cluster.session():
            rows = compared(arguments.overrides, sorted(set(arguments.partitions_per_core)), Path(folder))
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def compared(overrides: Sequence[str], per_core: Sequence[int], folder: Path) -> list[Row]:
    """A row per figure and number of partitions."""
    words = ["experiment=payments", "tracker=disabled", *overrides]
    cfg = door.composed([*words, f"storage.root={folder / 'store'}"])
    empty = door.composed([*words, *NEXT_TO_NONE, f"storage.root={folder / 'empty'}"])
    cluster.up(cfg)
    for one in (cfg, empty):
        validate.run(one)
        made(one, 2)  # the first run starts workers
    cores = os.cpu_count() or 1
    seen = {count: figures(cfg, empty, max(2, count * cores)) for count in per_core}
    fewest = seen[per_core[0]]
    return [
        Row(f"{count} per core: {name}", found[name], fewest[name], f"{unit} per million rows".strip())
        for count, found in seen.items()
        for name, unit in UNITS.items()
    ]


def figures(cfg: Config, empty: Config, partitions: int) -> dict[str, float]:
    """Everything that is measured at so many partitions, per million rows."""
    whole, bare = made(cfg, partitions), made(empty, partitions)
    sizes = shuffled(whole.chain)
    found = {
        "time": whole.seconds,
        "CPU": whole.cpu_s,
        "tasks": bare.cpu_s,
        "parts": len(sizes),
        "shuffled": sum(sizes) / 1e6,
        "driver": whole.driver_bytes / 1e6,
        "references": bare.driver_bytes / 1e6,
        "labels": sum(one.nbytes for one in of_labels(cfg)) / 1e6,
        "manifest": Path(whole.artifact.folder, "manifest.json").stat().st_size / 1e3,
    }
    millions = whole.artifact.rows / 1e6
    say(f"  {partitions} partitions of {millions:.2f} million rows: {whole.seconds:.1f} s")
    return {name: value / millions for name, value in found.items()}


@dataclass(frozen=True)
class Made:
    """One run of the step, and what it took."""

    artifact: Artifact
    chain: Chain
    seconds: float
    cpu_s: float
    driver_bytes: float


def made(cfg: Config, partitions: int) -> Made:
    """The features of all rows, computed once more."""
    shutil.rmtree(Path(Store(cfg.storage.root).path("features", featurize.key(cfg))), ignore_errors=True)
    with cut_into(partitions) as chains, Usage(os.getpid()) as usage, Peak() as driver:
        start = time.perf_counter()
        artifact = featurize.run(cfg)
        seconds = time.perf_counter() - start
    return Made(artifact, chains[0], seconds, usage.cpu_s, driver.bytes)


@contextlib.contextmanager
def cut_into(partitions: int) -> Iterator[list[Chain]]:
    """A context in which the step cuts rows into so many partitions; it fills with the chains that it makes."""
    chains, chosen = list[Chain](), distributed.chain

    def chain(*given: Any) -> Chain:
        chains.append(dataclasses.replace(chosen(*given), buckets=partitions))
        return chains[-1]

    with mock.patch.object(distributed, "chain", chain):
        yield chains


class Peak:
    """A context that measures the peak of this process's own memory (USS) above what it had at its begin."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = self._most = 0

    @property
    def bytes(self) -> float:
        """What was needed beside what was there; a page at least, for less cannot be seen."""
        return float(max(self._most - self._before, PAGE_BYTES))

    def __enter__(self) -> "Peak":
        _give_back()
        self._before = self._most = _own_bytes()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(EVERY_S):
            self._most = max(self._most, _own_bytes())


def _give_back() -> None:
    """Leave nothing that what is measured could use again without being seen: garbage, and pages kept for later."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)


def _own_bytes() -> int:
    """What would be free if this process ended: pages that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def shuffled(chain: Chain) -> list[int]:
    """The size of each part that its tasks exchange: the same work, done here task by task."""
    sizes, parts, nowhere = list[int](), chain._groups(), cast(Stage, None)  # the last step, which writes, is left out
    for number in range(len(chain.passes)):
        rows = [shuffle._step((chain, nowhere), number, *part) for part in parts]
        sizes += [_size(piece) for pieces in rows for piece in pieces]
        parts = [list(column) for column in zip(*rows, strict=True)]
    return sizes


def _size(piece: pa.Table | pa.Buffer) -> int:
    return int(piece.size if isinstance(piece, pa.Buffer) else piece.nbytes)


def of_labels(cfg: Config) -> list[pa.Table]:
    """The driver's tables with a line per row: the ledger's history, and each row's newest label."""
    history = featurize._ledger(cfg, validate.run(cfg))
    return [history, labels.newest(history, cfg.data.id)]


if __name__ == "__main__":
    main()
