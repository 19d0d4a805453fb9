"""`tune=auto` on published tables it was never tuned for: the test AUC of five folds, one budget for all five.

Each fold is a command of its own that gets its share of the budget, Ray's start, the judgement and the registration
included, and is judged once on a fifth of the rows that nothing in it has seen. The peer is what a good model of each
table reaches (`ASKED`). The tables are read from $WORKBENCH_REFERENCE_DATA, except the one that ships.

    python -m benchmarks.automl [--tables german adult] [--budget 600] [--folder FOLDER] [--json FILE] [KEY=VALUE ...]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from benchmarks import table
from benchmarks.table import Row
from workbench.errors import EnvironmentFault, InputError
from workbench.progress import say
from workloads import door

ROOT = Path(__file__).resolve().parents[1]
FOLDS = 5
ASKED = {"lending_club": 0.735, "credit_data": 0.830, "uci_default": 0.780, "german": 0.785, "adult": 0.926}  # AUC ROC
FILES: dict[str, dict[str, Any]] = {  # where it lies, its label, and columns that are no property of a row
    "credit_data": {"path": "credit_data/loans.parquet", "label": "Status", "positive": "bad", "ignore": []},
    "uci_default": {"path": "uci_default/clients.parquet", "label": "default.payment.next.month", "positive": "1",
                    "ignore": ["ID"]},
    "german": {"path": "german/loans.parquet", "label": "credit", "positive": "2", "ignore": []},
    "adult": {"path": "adult/census.parquet", "label": "income", "positive": ">50K", "ignore": ["split"]},
}  # fmt: skip


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--tables", nargs="+", default=list(ASKED), choices=list(ASKED))
    parser.add_argument("--budget", type=float, default=600.0, help="seconds per table, all folds together")
    parser.add_argument("--folder", type=Path, help="keep the stores here")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="of the configuration")
    arguments = parser.parse_args()

    def work() -> None:
        rows = []
        with tempfile.TemporaryDirectory(prefix="wb-automl-") as folder:
            for name in arguments.tables:
                kept = (arguments.folder or Path(folder)) / name
                rows += measured(name, arguments.budget, kept, arguments.overrides)
        table.tell(rows, arguments.json)

    sys.exit(door.guarded(work))


def measured(name: str, budget_s: float, folder: Path, overrides: list[str]) -> list[Row]:
    """The mean AUC of the folds beside what is asked, and the seconds beside the budget."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"WORKBENCH_CONF": str(declared(name, folder))} if name in FILES else {}
    words = [f"data={name}", "features=columns", *overrides]
    areas, started = [], time.monotonic()
    for place in range(FOLDS):
        areas.append(_area(words, own, budget_s / FOLDS, place, folder / f"fold-{place}"))
        say(f"  {name}, fold {place + 1} of {FOLDS}: AUC {areas[-1]:.4f}")
    return [
        Row(f"{name}: AUC of {FOLDS} folds", statistics.fmean(areas), ASKED[name], "(peer: asked)"),
        Row(f"{name}: whole", time.monotonic() - started, budget_s, "s (peer: budget)"),
    ]


def _area(words: list[str], own: dict[str, str], budget_s: float, place: int, folder: Path) -> float:
    """The test AUC of what one command registers."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "version.json"
    command = [
        sys.executable, "-m", "workloads.tune", "tune=auto", f"tune.time_budget_s={budget_s:g}",
        f"data.split.test_place={place}", f"storage.root={folder / 'store'}", f"keys.folder={folder / 'keys'}",
        f"output.json={told}", "tracker=disabled", *words,
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        ended = subprocess.run(command, cwd=ROOT, env=os.environ | own, stdout=log, stderr=log, check=False)
    if ended.returncode:
        raise EnvironmentFault(f"tune=auto ended with {ended.returncode}:\n{(folder / 'log').read_text()[-2000:]}")
    return float(json.loads(told.read_text())["figures"]["ensemble"]["roc_auc"])


def declared(name: str, folder: Path) -> Path:
    """A folder of configs with the data set's YAML; its table, with ids and times, lies beside it.

    Each column is what it is in the file; a text may be any of the values that occur.
    """
    told = FILES[name]
    rows, label = _rows(name), told["label"]
    columns = {_plain(one): _column(one, rows[one]) for one in rows.column_names if one not in [label, *told["ignore"]]}
    rows = rows.append_column("row_id", pa.array(range(rows.num_rows), pa.int64()))
    start = pa.scalar(0, pa.timestamp("us", "UTC"))
    rows = rows.append_column("seen_at", pa.array([start.as_py()] * rows.num_rows, start.type))
    pq.write_table(rows, folder / "table.parquet")
    data = {
        "name": name, "source": {"kind": "file", "path": str(folder / "table.parquet"), "ignore": told["ignore"]},
        "id": "row_id", "event_time": "seen_at", "split": {"kind": "stratified"},
        "columns": {"row_id": {"type": "integer", "unique": True}, "seen_at": {"type": "timestamp"}, **columns},
        "label": {"column": label, "positive": told["positive"], "negative": None, "delay_days": 0},
    }  # fmt: skip
    conf = folder / "conf"
    (conf / "data").mkdir(parents=True, exist_ok=True)
    (conf / "data" / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return conf


def _rows(name: str) -> pa.Table:
    path = _reference() / FILES[name]["path"]
    if not path.is_file():
        raise InputError(f"{path} is no file. Let WORKBENCH_REFERENCE_DATA name the folder of the published tables.")
    return pq.read_table(path)


def _reference() -> Path:
    if "WORKBENCH_REFERENCE_DATA" not in os.environ:
        raise InputError("WORKBENCH_REFERENCE_DATA is not set. Let it name the folder of the published tables.")
    return Path(os.environ["WORKBENCH_REFERENCE_DATA"]).resolve()


def _plain(name: str) -> str:
    """A column's name as keys of the configuration may be."""
    return name.replace("-", "_").replace(".", "_").lower()


def _column(name: str, values: pa.ChunkedArray) -> dict[str, Any]:
    found: dict[str, Any] = {"source": name, "nulls": values.null_count > 0}
    if pa.types.is_large_string(values.type) or pa.types.is_string(values.type):
        return {"type": "string", "categories": sorted(pc.unique(values.drop_null()).to_pylist()), **found}
    whole = pa.types.is_integer(values.type)
    return {"type": "integer" if whole else "number", "minimum": float(pc.min(values).as_py()), **found}


if __name__ == "__main__":
    main()
