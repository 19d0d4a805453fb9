"""Training through Ray beside the bare library: the same rows, hyperparameters and threads, in one run.

Both sides are commands of their own and take turns. `loop` is the time from the rows in memory to the fitted model;
`whole` is the command's, with the start of Python, Ray and the workers, and the reading of the features. On a machine
that does other work as well, the CPU time of all processes is the better measure.

    python -m benchmarks.training [--cases xgboost torch_mlp] [--rounds 500] [--epochs 3] [--turns 2] [--json FILE]

Whatever is not given is that of `experiment=payments`: 1.75 million rows, 15 features. A case is a family here and its
bare loop in `training_peers.py`.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import table
from benchmarks.table import Row
from benchmarks.usage import Usage
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workloads import door

ROOT = Path(__file__).resolve().parents[1]
CASES = ("xgboost", "torch_mlp")
SIDES = ("ours", "peer")


@dataclass(frozen=True)
class Measured:
    """One training of one side."""

    loop_s: float  # from the rows in memory to the model, the slowest process
    loop_cpu_s: float  # of all training processes in that time
    whole_s: float
    whole_cpu_s: float
    rows_per_s: float  # rows times rounds or epochs over `loop_s`
    average_precision: float


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--rows", type=int, default=10**9, help="at the most; the first ones")
    parser.add_argument("--rounds", type=int, default=500, help="of boosting")
    parser.add_argument("--epochs", type=int, default=3, help="of the network")
    parser.add_argument("--turns", type=int, default=2, help="trainings of each side")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        cfg = door.composed(["experiment=payments", *arguments.overrides])
        _features(arguments.overrides)
        rows = []
        for case in arguments.cases:
            steps = arguments.rounds if case == "xgboost" else arguments.epochs
            words = [case, str(arguments.rows), str(steps), *arguments.overrides]
            seen: dict[str, list[Measured]] = {side: [] for side in SIDES}
            for turn in range(arguments.turns):
                for side in SIDES if turn % 2 == 0 else SIDES[::-1]:
                    seen[side].append(measured(side, words))
                    say(f"  {case}, turn {turn + 1} of {arguments.turns}, {side}: {seen[side][-1]}")
            rows += rows_of(f"{case}, {cfg.scaling.workers} workers", seen["ours"], seen["peer"])
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def measured(side: str, words: list[str]) -> Measured:
    """One side's command, from its start to its end."""
    command = [sys.executable, "-m", "benchmarks.training_sides", side, *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        start = time.perf_counter()
        with Usage(process.pid) as usage:
            said = process.stdout.readline() if process.stdout else b""
            whole_s = time.perf_counter() - start
        process.communicate()  # it waits until here, so that its processes can still be counted
    if process.returncode:
        raise EnvironmentFault(f"{' '.join(command)} ended with {process.returncode}. See its error above.")
    figures = json.loads(said)
    whole_cpu_s = usage.cpu_s + figures.pop("ended_cpu_s")  # Ray does not count its workers that have ended
    return Measured(whole_s=whole_s, whole_cpu_s=whole_cpu_s, **figures)


def _features(overrides: list[str]) -> None:
    """The features are in the store."""
    command = [sys.executable, "-m", "workloads.featurize", "experiment=payments", "tracker=disabled", *overrides]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def rows_of(case: str, ours: list[Measured], peer: list[Measured]) -> list[Row]:
    """A line per figure, of medians."""

    def row(name: str, unit: str, figure: str) -> Row:
        mine, other = (statistics.median(getattr(one, figure) for one in side) for side in (ours, peer))
        return Row(f"{case}: {name}", mine, other, unit)

    return [
        row("loop", "s", "loop_s"),
        row("loop, CPU", "s", "loop_cpu_s"),
        row("whole", "s", "whole_s"),
        row("whole, CPU", "s", "whole_cpu_s"),
        row("loop", "rows/s", "rows_per_s"),
        row("average precision", "", "average_precision"),
    ]


if __name__ == "__main__":
    main()
