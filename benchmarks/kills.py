"""Does training survive kills? A worker, or the driver, is killed with -9 in the middle of an epoch, again and again.

Each round trains four families twice over: once one of the workers of every family is killed at a random moment (Ray
Train starts the group again), once the driver is killed in every family and the command is repeated. Both must end as
the undisturbed training did: the run's history has every step once and with the same numbers to the last bit, the
figures are the same, and no step was trained twice, by what the workers wrote down themselves. The rows say how often
that was so (`ours`), of how many kills (`peer`).

    python -m benchmarks.kills [--times 10] [--families xgboost torch_mlp] [--seed 1] [--json FILE] [KEY=VALUE ...]
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks import kills_check, table
from benchmarks.table import Row
from benchmarks.usage import command, tree
from workbench.data.store import Store
from workbench.errors import EnvironmentFault, GateRefused
from workbench.progress import say
from workbench.training import segments
from workloads import door

FAMILIES = ("xgboost", "lightgbm", "torch_mlp", "keras_mlp")
ROOT = Path(__file__).resolve().parents[1]
SIZE = (  # blocks of two months: an epoch takes long enough to be killed in its middle
    "experiment=smoke", "scaling.workers=2", "scaling.ray_cpus=2", "scaling.max_failures=4", "tracker=disabled",
    "data.split.train_days=60", "data.split.train_start=2018-05-20", "data.split.select_start=2018-05-06",
    "train.xgboost.rounds=100", "train.lightgbm.rounds=60", "train.torch_mlp.epochs=4", "train.keras_mlp.epochs=4",
)  # fmt: skip
WORKER = b"ray::RayTrainWorker"  # how Ray calls the process of a training worker
AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")  # of a node: they train nothing, and outlive it by a minute
LOOK_EVERY_S = 0.02
TIME_LIMIT_S = 1800.0
STARTS = 5  # of Ray
GONE_S = 300.0  # for what a killed driver has started to end: seconds, on a busy machine minutes


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--times", type=int, default=10, help="kills of each kind and family")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--kinds", nargs="+", default=["worker", "driver"], choices=["worker", "driver"])
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the workers")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="wb-kills-") as folder:
            words = [*SIZE, f"train.families=[{','.join(arguments.families)}]", *arguments.overrides]
            chance = random.Random(arguments.seed)  # noqa: S311 - moments, no secrets
            rows = counted(words, arguments.kinds, arguments.times, Path(folder), chance)
        table.tell(rows, arguments.json)
        if any(row.ours < row.peer for row in rows):
            raise GateRefused("A training did not survive its kill unchanged. See the table.")

    sys.exit(door.guarded(work))


def counted(words: Sequence[str], kinds: Sequence[str], times: int, folder: Path, chance: random.Random) -> list[Row]:
    """A row per kind of kill and family."""
    families = door.composed(list(words)).train.families
    base, undisturbed = Training(words, folder / "base"), Training(words, folder / "undisturbed")
    base.run("featurize")
    undisturbed.copy(base)
    undisturbed.run("train")
    good = {(kind, family): 0 for kind in kinds for family in families}
    for turn in range(times):
        for kind in kinds:
            disturbed = Training(words, folder / f"{kind}-{turn}")
            disturbed.copy(base)
            (kill_workers if kind == "worker" else kill_drivers)(disturbed, families, chance)
            for family in families:
                faults = kills_check.faults(family, undisturbed.store, disturbed.store)
                good[kind, family] += not faults
                say(f"  {turn + 1} of {times}, {kind} killed in {family}: {'; '.join(faults) or 'unchanged'}")
            shutil.rmtree(disturbed.folder)
    return [Row(f"{family}, {kind} killed", count, times, "unchanged") for (kind, family), count in good.items()]


@dataclass
class Training:
    """The command that trains, in a store of its own."""

    words: Sequence[str]
    folder: Path

    @property
    def store(self) -> Store:
        """Its store."""
        return Store(str(self.folder))

    def copy(self, other: "Training") -> None:
        """Begin with what another one has."""
        shutil.copytree(other.folder, self.folder)

    def start(self, step: str = "train") -> subprocess.Popen[bytes]:
        """The command, running; Ray gives up after 30 s where a machine is too busy, and is then started again."""
        for _ in range(STARTS):
            process = self._start(step)
            while process.poll() is None and b" started: " not in self.log.read_bytes():
                time.sleep(LOOK_EVERY_S)
            if process.poll() is None or b"error: No Ray: " not in self.log.read_bytes():
                break
        return process

    @property
    def log(self) -> Path:
        """What the last command said."""
        return self.folder.with_suffix(".log")

    def _start(self, step: str) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        command = [sys.executable, "-m", f"workloads.{step}", *self.words, f"storage.root={self.folder}"]
        with self.log.open("wb") as log:
            return subprocess.Popen(command, cwd=ROOT, env=inherited, stdout=log, stderr=log, start_new_session=True)

    def run(self, step: str) -> None:
        """The command, to its end."""
        self.finish(self.start(step))

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end; it must be a good one."""
        if process.wait(TIME_LIMIT_S):
            said = self.log.read_text()[-2000:]
            raise EnvironmentFault(f"The training in {self.folder} ended with {process.returncode}:\n{said}")

    def steps(self, family: str) -> int:
        """How many steps the workers of a family wrote down so far."""
        return sum(one.num_rows for one in self.segments(family).values())

    def segments(self, family: str) -> dict[int, pa.Table]:
        """What the attempts at a family wrote down."""
        found = list((self.folder / "checkpoints").glob(f"{family}-*/history"))
        return segments.read(self.store.fs, str(found[0])) if found else {}


def kill_workers(training: Training, families: Sequence[str], chance: random.Random) -> None:
    """Train once; of every family one worker, whichever, is killed at a random moment."""
    process = training.start()
    for family in families:
        _wait_for_the_moment(training, family, process, chance)
        workers = [pid for pid in tree(process.pid) if command(pid).startswith(WORKER)]
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
    training.finish(process)


def kill_drivers(training: Training, families: Sequence[str], chance: random.Random) -> None:
    """Train until a random moment of each family, kill the driver, and at last train to the end."""
    for family in families:
        process = training.start()
        _wait_for_the_moment(training, family, process, chance)
        started = tree(process.pid)
        process.kill()
        process.wait()
        _gone(started)
    training.run("train")


def _wait_for_the_moment(
    training: Training, family: str, process: subprocess.Popen[bytes], chance: random.Random
) -> None:
    """Wait for one of the family's first steps, and then for a part of the next one."""
    until, wanted = time.monotonic() + TIME_LIMIT_S, training.steps(family) + chance.randint(1, 4)
    begun = time.monotonic()
    while (seen := training.steps(family)) < wanted and process.poll() is None:
        if seen == wanted - 1:
            begun = time.monotonic()
        if time.monotonic() > until:
            raise EnvironmentFault(f"{family} did not come to its step {wanted}.")
        time.sleep(LOOK_EVERY_S)
    time.sleep(chance.random() * min(2.0, time.monotonic() - begun))


def _gone(pids: Sequence[int]) -> None:
    """Wait until processes have ended: Ray's end with the driver that started them, its agents later."""
    until = time.monotonic() + GONE_S
    while left := [pid for pid in pids if command(pid) and not command(pid).startswith(AGENTS)]:
        if time.monotonic() > until:
            raise EnvironmentFault(f"Processes of the killed driver still run: {left}.")
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    main()
