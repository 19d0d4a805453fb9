"""A sweep as one would write it without Ray Tune: `VALUES.json ANSWER.json PROCESSES [KEY=VALUE ...]`.

Every process of a pool reads the rows once, then fits one point after another and scores it.
"""

import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training_peers import xgboost_parameters
from workbench.data.store import Store
from workbench.evaluation import protocol
from workbench.features.definitions import FeatureSet
from workbench.training.fits import Rows, average_precision
from workbench.tuning.space import applied
from workloads import door, featurize

Folds = list[tuple[Rows, Rows]]
state: dict[str, Any] = {}


def main() -> None:
    """Sweep, and leave a line per point."""
    values, answer, processes, *words = sys.argv[1:]
    points = json.loads(Path(values).read_text())
    with multiprocessing.get_context("spawn").Pool(int(processes), begin, (words,)) as pool:
        done = list(pool.imap_unordered(fit, points))
    Path(answer).write_text(json.dumps(done))


def begin(words: list[str]) -> None:
    """Read the rows of the folds that select."""
    cfg = door.composed(words)
    features = Store(cfg.storage.root).get("features", featurize.key(cfg))
    names = list(FeatureSet.of(cfg.features, cfg.data).names)

    def rows(chosen: Any) -> Rows:
        table = featurize.table(features, [*names, "label"], chosen)
        x_NF = np.stack([table[name].to_numpy().astype(np.float32) for name in names], axis=1)
        return Rows(x_NF, table["label"].to_numpy().astype(np.float32))

    folds = protocol.of(cfg, features).select
    state.update(cfg=cfg, folds=[(rows(one.train), rows(one.score)) for one in folds])


def fit(values: dict[str, Any]) -> dict[str, float]:
    """Fit and score one point."""
    import xgboost

    started = time.perf_counter()
    hyper = applied(state["cfg"], values).train.xgboost
    scores = []
    for rows, scored in state["folds"]:
        matrix = xgboost.QuantileDMatrix(rows.x_NF, rows.y_N, max_bin=hyper.max_bin, nthread=1)
        booster = xgboost.train(xgboost_parameters(hyper, threads=1), matrix, hyper.rounds)
        scores.append(average_precision(scored.y_N, booster.inplace_predict(scored.x_NF, predict_type="margin")))
    return {"seconds": time.perf_counter() - started, "average_precision": float(np.mean(scores))}


if __name__ == "__main__":
    main()
