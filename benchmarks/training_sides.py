"""One side of `benchmarks.training` as a process of its own: `SIDE CASE ROWS STEPS [KEY=VALUE ...]`.

It prints one line of JSON when it has its model, and ends when its input is closed.
"""

import dataclasses
import importlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from benchmarks import training_peers
from workbench import cluster
from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.features.definitions import FeatureSet
from workbench.training.fits import Fold, Rows
from workloads import door, featurize

FOLD, SEED = "all", 0
SCORED = 50_000  # rows that ours is scored on as it goes; the first ones, which the peer is scored on at its end


@dataclass(frozen=True)
class Timed:
    """A family's entry for workers that writes down how long its loop took."""

    family: str
    folder: Path

    def __call__(self, config: dict[str, Any]) -> Any:
        """Train, on a worker."""
        module: Any = importlib.import_module(f"workbench.training.{self.family}")
        loop = module.loop

        def timed(*arguments: Any) -> Any:
            with Watch() as watch:
                fitted = loop(*arguments)
            self.tell([watch.seconds, watch.cpu_s, time.process_time()])
            return fitted

        module.loop = timed
        return module.train(config)

    def tell(self, figures: list[float]) -> None:
        """Leave figures for the driver."""
        (self.folder / f"{os.getpid()}.json").write_text(json.dumps(figures))


class Watch:
    """Seconds, and CPU seconds of this process, of a block."""

    def __enter__(self) -> "Watch":
        self.seconds, self.cpu_s = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter()
        self.cpu_s += time.process_time()


def main() -> None:
    """Train, print, wait."""
    side, case, rows, steps, *words = sys.argv[1:]
    cfg = door.composed(["experiment=payments", "tracker=disabled", *words])
    hyper = getattr(cfg.train, case)
    key = "rounds" if case == "xgboost" else "epochs"
    setattr(cfg.train, case, dataclasses.replace(hyper, **{key: int(steps)}))
    with cluster.session():
        features = Store(cfg.storage.root).get("features", featurize.key(cfg))
        said = (ours if side == "ours" else peer)(cfg, features, case, int(rows))
        seconds, cpu_s, ended_s = zip(*said["loops"], strict=True)
        figures = {"loop_s": max(seconds), "loop_cpu_s": sum(cpu_s), "ended_cpu_s": sum(ended_s)}
        figures["rows_per_s"] = said["rows"] * int(steps) / max(seconds)
        print(json.dumps({**figures, "average_precision": said["average_precision"]}), flush=True)
        sys.stdin.read()


def ours(cfg: Config, features: Artifact, case: str, rows: int) -> dict[str, Any]:
    """Through Ray Train, as `train` does it."""
    from workbench.training import group, plan, run
    from workbench.training.gather import gather

    cluster.up(cfg)
    known = pc.field(cfg.data.id)
    fold = Fold(FOLD, known < rows, known < SCORED)
    names = FeatureSet.of(cfg.features, cfg.data).names
    gathered = gather(features, names, cfg.data.id, plan.chosen([fold]))
    with tempfile.TemporaryDirectory(prefix="wb-training-") as folder:
        group.entry = lambda family: Timed(family, Path(folder))
        store = Store(f"{folder}/store")
        done = run.train(case, gathered, [fold], cfg.train, cfg.scaling, store, "benchmark")
        loops = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    fitted = done.fits[FOLD, SEED]
    return {"loops": loops, "rows": gathered[FOLD].rows, "average_precision": fitted.average_precision[-1]}


def peer(cfg: Config, features: Artifact, case: str, rows: int) -> dict[str, Any]:
    """By the library alone."""
    names = FeatureSet.of(cfg.features, cfg.data).names
    chosen = pc.is_valid(pc.field("label")) & (pc.field(cfg.data.id) < rows)
    table = featurize.table(features, [cfg.data.id, *names, "label"], chosen)
    x_NF = np.stack([table[name].to_numpy().astype(np.float32) for name in names], axis=1)
    scored = int(np.searchsorted(table[cfg.data.id].to_numpy(), SCORED))
    data = Rows(x_NF, table["label"].to_numpy().astype(np.float32))
    train = getattr(training_peers, case)
    loops, average_precision = train(data, scored, getattr(cfg.train, case), cfg.scaling)
    return {"loops": loops, "rows": len(data.y_N), "average_precision": average_precision}


if __name__ == "__main__":
    main()
