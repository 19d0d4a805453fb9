"""Does everything run as a job on three nodes, and survive what clusters do? Counts, not times.

Every workload runs as a job, by `workloads.submit` and by plain `ray job submit`. Then a node is killed (all its
processes, SIGKILL) while another store is featurized, trained and tuned: what comes out must be what comes out
undisturbed. At last the job's own process is killed while it trains, and the same job submitted again: no epoch may be
trained twice. Each row says how often it was so (`ours`) of how many tries (`peer`).

    python -m benchmarks.cluster [--times 1] [--parts steps nodes driver] [--json FILE] [KEY=VALUE ...]
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import kills_check, nodes, table
from benchmarks.cluster_work import LIMIT_S, Work
from benchmarks.loopback import free_port
from benchmarks.nodes import BIN, ROOT, Nodes
from benchmarks.table import Row
from workbench.data.store import Artifact
from workbench.progress import say
from workloads import door

STEPS = ("ingest", "validate", "featurize", "leakcheck", "train", "tune", "evaluate", "register", "deploy", "replay",
         "label", "parity", "monitor", "pipeline", "learning_curve", "doctor", "compare", "serve_config", "keys",
         "audit")  # fmt: skip
FAMILY = "torch_mlp"
SMALL = ("experiment=smoke", "tracker=disabled", f"train.families=[{FAMILY}]", "scaling.workers=2",
         "scaling.max_failures=6", "tune.trials=3", "evaluate.learning_curve.shares=[0.5,1.0]")  # fmt: skip
LONG = ("data.split.train_days=60", "data.split.train_start=2018-05-20", "data.split.select_start=2018-05-06",
        "scaling.cpus_per_worker=1", f"train.{FAMILY}.epochs=8")  # fmt: skip
ARTIFACTS = {"featurize": "features", "train": "runs", "tune": "sweeps"}


def main() -> None:
    """Count and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--times", type=int, default=1, help="kills of each kind")
    parser.add_argument(
        "--parts", nargs="+", default=["steps", "nodes", "driver"], choices=["steps", "nodes", "driver"]
    )
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS, help="of the part `steps`")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="wb-cluster-") as folder:
            rows = counted(arguments, Path(folder))
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def counted(arguments: Any, folder: Path) -> list[Row]:
    """A row per case."""
    rows: list[Row] = []
    with nodes.running(folder) as three:
        if "steps" in arguments.parts:
            rows += every_step(three, folder, arguments.steps, arguments.overrides)
        if "nodes" in arguments.parts:
            rows += [lost(three, folder, step, arguments) for step in ARTIFACTS]
        if "driver" in arguments.parts:
            rows.append(driven(three, folder, arguments))
    return rows


def every_step(three: Nodes, folder: Path, steps: Sequence[str], more: Sequence[str]) -> list[Row]:
    """How many steps end well as jobs, by either way; the second finds what the first has done."""
    words = (*SMALL, f"serve.port={free_port()}", *more)
    work, ways = Work(three, folder / "steps", words), {"submit": 0, "ray job submit": 0}
    for step in steps:
        own = _own(step, work)
        client = work.start(step, *own)
        codes = {"submit": work.finish(client), "ray job submit": _plain(three, step, (*words, *own), work.folder)}
        for way, code in codes.items():
            ways[way] += code == 0
            say(f"  {step} by {way}: {'done' if code == 0 else f'{code}: {work.said(client)[-1500:]}'}")
    return [Row(f"workloads by {way}", count, len(steps), "done") for way, count in ways.items()]


def _own(step: str, work: Work) -> list[str]:
    """What a step must be told that only this store knows."""
    if step == "compare":
        return [f"compare.runs=[{work.store.keys('evaluations')[0]}]", f"compare.models=[ensemble,{FAMILY}]"]
    return [f"serve.running.config_file={work.folder}/serve.yaml"] if step == "serve_config" else []


def _plain(three: Nodes, step: str, words: Sequence[str], root: Path) -> int:
    job = [str(BIN / "ray"), "job", "submit", "--address", three.dashboard, "--working-dir", ".", "--", "python", "-m"]
    done = subprocess.run(
        [*job, f"workloads.{step}", *words, f"storage.root={root}"],
        cwd=ROOT, env=three.environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    return done.returncode


def lost(three: Nodes, folder: Path, step: str, arguments: Any) -> Row:
    """How often a step whose node was killed left what the undisturbed one did."""
    undisturbed, good = Work(three, folder / f"{step}-undisturbed", (*SMALL, *LONG, *arguments.overrides)), 0
    if step != "featurize":
        undisturbed.run("featurize")
    else:
        undisturbed.run("validate")
    tries = [undisturbed.copied(f"{step}-{turn}") for turn in range(arguments.times)]
    undisturbed.run(step)
    for one in tries:
        client = one.start(step)
        killed = one.kill_a_node(client, step, after=2 if step == "train" else 0)
        code = one.finish(client)
        wrong = _wrong(killed, one.said(client)) if code or not killed else _other(one, undisturbed, step)
        good += not wrong
        say(f"  node lost in {step}: {wrong or 'the same'}")
        three.add()
        three.wait(3)
    return Row(f"node lost in {step}", good, arguments.times, "same result")


def _wrong(killed: bool, said: str) -> str:
    return f"{'killed' if killed else 'no node was at work'}; it said: {said[-2000:]}"


def _other(one: Work, undisturbed: Work, step: str) -> str:
    """How what was left differs; empty where it does not."""
    found, due = _left(one, step), _left(undisturbed, step)
    return "" if found == due else f"{found} instead of {due}"


def _left(work: Work, step: str) -> Any:
    """What a step's artifact says of its content, without what is of one run only."""
    (key,) = work.store.keys(ARTIFACTS[step])
    artifact: Artifact = work.store.get(ARTIFACTS[step], key)
    if step == "tune":
        return key, artifact.manifest["winner"], artifact.figures[artifact.manifest["winner"]]
    files = [(one.name, one.sha256) for one in artifact.files if not one.name.startswith("segment-")]
    return key, files, artifact.figures


def driven(three: Nodes, folder: Path, arguments: Any) -> Row:
    """How often a job whose process was killed trained no epoch twice, when it was submitted again."""
    undisturbed, good = Work(three, folder / "driver-undisturbed", (*SMALL, *LONG, *arguments.overrides)), 0
    undisturbed.run("featurize")
    tries = [undisturbed.copied(f"driver-{turn}") for turn in range(arguments.times)]
    undisturbed.run("train")
    for one in tries:
        client = one.start("train", "--retries", "1")
        killed = one.kill_driver(client, "train", after=3)
        code = one.finish(client)
        faults = kills_check.faults(FAMILY, undisturbed.store, one.store) if code == 0 else [one.said(client)[-2000:]]
        good += killed and not faults
        say(f"  job's process killed: {'; '.join(faults) or 'unchanged'}")
    return Row("job's process killed, submitted again", good, arguments.times, "0 repeated epochs")


if __name__ == "__main__":
    main()
