"""`tune=auto` beside AutoGluon on payments: average precision with the same features, test folds, rows and seconds.

Both make a model for each of the published test weeks. Ours selects as it always does, on an earlier week, and trains
on the test fold's training rows; AutoGluon (`best_quality`, told the metric) is given those rows and divides them as it
sees fit. The seconds are those of our whole command, and AutoGluon's `time_limit`.

    python -m benchmarks.automl_peers --python /path/to/a/python/with/autogluon.tabular [--budget 180] [--history 21]
        [--starts 2018-07-25 2018-08-01] [--json FILE] [KEY=VALUE ...]
"""

import datetime as dt
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import automl_autogluon, table
from benchmarks.table import Row
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.evaluation import protocol
from workbench.features.definitions import FeatureSet
from workbench.progress import say
from workbench.training.fits import average_precision
from workloads import door, featurize

ROOT = Path(__file__).resolve().parents[1]
STARTS = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")  # of the published test folds' training weeks
BEFORE = dt.timedelta(days=14)  # from a week that selects to the one that tests


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--python", required=True, help="an interpreter that has autogluon.tabular")
    parser.add_argument("--budget", type=float, default=180.0, help="seconds per test fold and side")
    parser.add_argument("--history", type=int, default=21, help="days of training rows before the week")
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="wb-autogluon-") as folder:
            common = [
                "experiment=payments", "tune=auto", "tracker=disabled", f"tune.time_budget_s={arguments.budget:g}",
                f"data.split.history_days={arguments.history}", f"storage.root={folder}/store",
                f"keys.folder={folder}/keys", *arguments.overrides,
            ]  # fmt: skip
            _run([sys.executable, "-m", "workloads.featurize", *common])
            sides: list[tuple[float, float]] = []
            for start in arguments.starts:
                select = dt.date.fromisoformat(start) - BEFORE
                words = [*common, f"data.split.train_start={start}", f"data.split.select_start={select}"]
                sides.append((ours(words, Path(folder)), peer(words, arguments.python, arguments.budget, Path(folder))))
                say(f"  trained from {start}: ours {sides[-1][0]:.4f}, AutoGluon {sides[-1][1]:.4f}")
        mine, theirs = (statistics.fmean(side[place] for side in sides) for place in (0, 1))
        rows = [Row(f"AP, mean of {len(sides)} folds", mine, theirs, "")]
        rows += [
            Row(f"AP, from {start}", side[0], side[1], "") for start, side in zip(arguments.starts, sides, strict=True)
        ]
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def ours(words: list[str], folder: Path) -> float:
    """The test fold's average precision of what one command registers."""
    told = folder / "version.json"
    _run([sys.executable, "-m", "workloads.tune", *words, f"output.json={told}"])
    return float(json.loads(told.read_text())["figures"]["ensemble"]["average_precision"])


def peer(words: list[str], python: str, budget_s: float, folder: Path) -> float:
    """The same rows' average precision by AutoGluon."""
    cfg = door.composed(words)
    features = Store(cfg.storage.root).get("features", featurize.key(cfg))
    columns = [*FeatureSet.of(cfg.features, cfg.data).names, "label"]
    fold = protocol.of(cfg, features).test[0]
    known = pc.is_valid(pc.field("label"))
    pq.write_table(featurize.table(features, columns, fold.train & known), folder / "train.parquet")
    judged = featurize.table(features, columns, fold.score & known)
    pq.write_table(judged.drop_columns(["label"]), folder / "judged.parquet")
    answer = folder / "scores.parquet"
    _run([python, automl_autogluon.__file__, str(folder / "train.parquet"), str(folder / "judged.parquet"),
          str(answer), str(budget_s), str(folder / "models")])  # fmt: skip
    score_N = np.asarray(pq.read_table(answer)["score"])
    return average_precision(judged["label"].to_numpy(), score_N)


def _run(words: list[str]) -> None:
    ended = subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise EnvironmentFault(f"{' '.join(words)} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")


if __name__ == "__main__":
    main()
