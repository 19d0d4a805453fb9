"""A sweep of boosted trials through Ray Tune, beside a plain pool of as many processes.

Ours is `workloads.tune tune=xgboost` with random draws, no early end, and all that it keeps: a score every ten rounds,
records, checkpoints, the winner scored again, pictures. The pool (`sweep_pool.py`) then fits the same hyperparameters
on the same rows for as many rounds, and scores each model once. Both are commands of their own.

    python -m benchmarks.sweep [--trials 32] [--rounds 500] [--history 63] [--json FILE] [KEY=VALUE ...]
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import table
from benchmarks.table import Row
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workloads import door

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 2


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=500, help="of boosting, in each trial")
    parser.add_argument("--history", type=int, default=63, help="days of training rows before the week")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()
    words = [
        "experiment=payments", "tune=xgboost", "tune.searcher=random", "tune.patience=null", "tracker=disabled",
        f"tune.trials={arguments.trials}", f"tune.concurrent={PROCESSES}",
        f"tune.space.train.xgboost.rounds=[{arguments.rounds}]", f"data.split.history_days={arguments.history}",
        f"scaling.ray_cpus={PROCESSES}", *arguments.overrides,
    ]  # fmt: skip

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="wb-sweep-") as folder:
            rows = compared(words, Path(folder))
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def compared(words: list[str], folder: Path) -> list[Row]:
    """Seconds of each side, and what a trial of it took and reached."""
    words = [*words, f"storage.root={folder / 'store'}", f"keys.folder={folder / 'keys'}"]
    _run(["workloads.featurize", *words])
    swept, pooled = folder / "sweep.json", folder / "pool.json"
    ours_s = _run(["workloads.tune", *words, f"output.json={swept}"])
    artifact = Store(str(folder / "store")).get("sweeps", json.loads(swept.read_text())["id"])
    trials = snapshots.read(artifact).to_pylist()
    values = folder / "values.json"
    values.write_text(json.dumps([json.loads(one["config"]) for one in trials]))
    peer_s = _run(["benchmarks.sweep_pool", str(values), str(pooled), str(PROCESSES), *words])
    peers = json.loads(pooled.read_text())

    def row(name: str, unit: str, figures: list[float]) -> Row:
        return Row(name, figures[0], figures[1], unit)

    sides = (trials, peers)
    return [
        row(f"{len(trials)} trials, whole", "s", [ours_s, peer_s]),
        row("a trial, median", "s", [statistics.median(one["seconds"] for one in side) for side in sides]),
        row("best average precision", "", [max(one["average_precision"] for one in side) for side in sides]),
    ]


def _run(words: list[str]) -> float:
    """Seconds of a command."""
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode:
        raise EnvironmentFault(f"{' '.join(words)} ended with {ended.returncode}. See its error above.")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
