"""A driver to be killed: `python killed.py FOLDER` sweeps until it is through."""

import os
import sys
from pathlib import Path

os.environ["WORKBENCH_KEYS"] = f"{sys.argv[1]}/keys"

from workbench import cluster

cluster.set_defaults()

from tests.code.tuning import samples  # noqa: E402
from workbench.tuning import sweep  # noqa: E402


def main(folder: Path) -> None:
    """Six trials of trees, slow enough to be killed between them."""
    cfg = samples.config(folder, trials=6, searcher="random")
    cfg.train.xgboost.rounds, cfg.tune.patience, cfg.scaling.ray_cpus = 400, None, 2
    cfg.keys.folder = os.environ["WORKBENCH_KEYS"]
    with cluster.session():
        cluster.up(cfg)
        sweep.run(cfg, samples.space(cfg), samples.shared(cfg))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
