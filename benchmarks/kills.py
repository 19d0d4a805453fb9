"""Do trainings and sweeps survive kills? A worker, or the driver, is killed with -9 in the middle, again and again.

Each round trains four families twice over: once one of the workers of every family is killed at a random moment (Ray
Train starts the group again), once the driver is killed in every family and the command is repeated. Both must end as
the undisturbed training did: the run's history has every step once and with the same numbers to the last bit, the
figures are the same, and no step was trained twice, by what the workers wrote down themselves. The driver of a sweep is
killed as well (`kills_sweep.py`). The rows say how often it was so (`ours`), of how many kills (`peer`).

    python -m benchmarks.kills [--times 10] [--kinds worker driver sweep] [--families xgboost torch_mlp] [--seed 1]
                               [--json FILE] [KEY=VALUE ...]
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
from pathlib import Path

from benchmarks import kills_check, kills_sweep, table
from benchmarks.kills_command import LOOK_EVERY_S, TIME_LIMIT_S, Command
from benchmarks.table import Row
from benchmarks.usage import command, tree
from workbench.errors import EnvironmentFault, GateRefused
from workbench.progress import say
from workloads import door

FAMILIES = ("xgboost", "lightgbm", "torch_mlp", "keras_mlp")
SIZE = (  # blocks of two months: an epoch takes long enough to be killed in its middle
    "experiment=smoke", "scaling.workers=2", "scaling.ray_cpus=2", "scaling.max_failures=4", "tracker=disabled",
    "data.split.train_days=60", "data.split.train_start=2018-05-20", "data.split.select_start=2018-05-06",
    "train.xgboost.rounds=100", "train.lightgbm.rounds=60", "train.torch_mlp.epochs=4", "train.keras_mlp.epochs=4",
)  # fmt: skip
KINDS = ("worker", "driver", "sweep")
WORKER = b"ray::RayTrainWorker"  # how Ray calls the process of a training worker
STEPS = 4  # of a family at least, of which the last is not waited for: it may be over then


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--times", type=int, default=10, help="kills of each kind and family")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
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
            raise GateRefused("A training or a sweep did not survive its kill unchanged. See the table.")

    sys.exit(door.guarded(work))


def counted(words: Sequence[str], kinds: Sequence[str], times: int, folder: Path, chance: random.Random) -> list[Row]:
    """A row per kind of kill and family, and one for sweeps."""
    base = Command(words, folder / "base")
    base.run("featurize")
    of_trainings = [one for one in kinds if one != "sweep"]
    rows = trained(base, of_trainings, times, chance) if of_trainings else []
    return rows + (kills_sweep.swept(base, times, chance) if "sweep" in kinds else [])


def trained(base: Command, kinds: Sequence[str], times: int, chance: random.Random) -> list[Row]:
    """A row per kind of kill and family."""
    families = door.composed(list(base.words)).train.families
    good = {(kind, family): 0 for kind in kinds for family in families}
    undisturbed = base.copied("undisturbed")
    undisturbed.run("train")
    for turn in range(times):
        for kind in kinds:
            disturbed = base.copied(f"{kind}-{turn}")
            (kill_workers if kind == "worker" else kill_drivers)(disturbed, families, chance)
            for family in families:
                faults = kills_check.faults(family, undisturbed.store, disturbed.store)
                good[kind, family] += not faults
                say(f"  {turn + 1} of {times}, {kind} killed in {family}: {'; '.join(faults) or 'unchanged'}")
            shutil.rmtree(disturbed.folder)
    return [Row(f"{family}, {kind} killed", count, times, "unchanged") for (kind, family), count in good.items()]


def kill_workers(training: Command, families: Sequence[str], chance: random.Random) -> None:
    """Train once; of every family one worker, whichever, is killed at a random moment."""
    process = training.start("train")
    for family in families:
        _wait_for_the_moment(training, family, process, chance)
        workers = [pid for pid in tree(process.pid) if command(pid).startswith(WORKER)]
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
    training.finish(process)


def kill_drivers(training: Command, families: Sequence[str], chance: random.Random) -> None:
    """Train until a random moment of each family, kill the driver, and at last train to the end."""
    for family in families:
        process = training.start("train")
        _wait_for_the_moment(training, family, process, chance)
        training.kill(process)
    training.run("train")


def _wait_for_the_moment(
    training: Command, family: str, process: subprocess.Popen[bytes], chance: random.Random
) -> None:
    """Wait for one of the next steps, and then for a part of the one that follows it."""
    until, wanted = time.monotonic() + TIME_LIMIT_S, training.steps(family) + chance.randint(1, STEPS - 1)
    begun = time.monotonic()
    while (seen := training.steps(family)) < wanted and process.poll() is None:
        if seen == wanted - 1:
            begun = time.monotonic()
        if time.monotonic() > until:
            raise EnvironmentFault(f"{family} did not come to its step {wanted}.")
        time.sleep(LOOK_EVERY_S)
    time.sleep(chance.random() * min(2.0, time.monotonic() - begun))


if __name__ == "__main__":
    main()
