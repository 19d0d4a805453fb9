"""A small sweep on rows of which the features tell something."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.families import LightGBMConfig, RandomForestConfig, XGBoostConfig
from workbench.networks import TorchMLPConfig
from workbench.training.fits import Fold
from workbench.training.gather import gather
from workbench.training.plan import chosen
from workbench.tuning import trial
from workbench.tuning.records import Records
from workbench.tuning.space import Space
from workloads import door

NAMES = ["amount", "count", "risk"]
FOLDS = (
    Fold("select-0", pc.field("part") != "a", pc.field("part") == "a"),
    Fold("select-1", pc.field("part") != "b", pc.field("part") == "b"),
)
SPACE = {
    "train": {
        "xgboost": {"max_depth": {"low": 1, "high": 4}, "learning_rate": {"low": 0.05, "high": 0.3, "log": True}},
        "lightgbm": {"num_leaves": {"low": 3, "high": 8}},
        "random_forest": {"max_depth": [3, 5]},
        "torch_mlp": {"dropout": {"low": 0.0, "high": 0.4}},
    }
}


def rows() -> pa.Table:
    random = np.random.default_rng(0)
    x_NF = random.lognormal(1, 1, (600, len(NAMES)))
    label = (x_NF[:, 0] + random.normal(0, 1, 600) > 4).astype(float)
    part = random.choice(["a", "b", "c"], 600)
    return pa.table({"id": np.arange(600), **dict(zip(NAMES, x_NF.T, strict=True)), "label": label, "part": part})


def features(store: Store) -> Artifact:
    return store.find("features", "all") or snapshots.write(store, "features", "all", rows(), parents={}, config={})


def config(folder: Path, **tune: Any) -> Config:
    cfg = door.composed([f"storage.root={folder / 'store'}", "tracker=disabled"])
    cfg.train.xgboost = XGBoostConfig(rounds=60, max_bin=64)
    cfg.train.lightgbm = LightGBMConfig(rounds=60, max_bin=63, bagging_fraction=0.8)
    cfg.train.random_forest = RandomForestConfig(trees=10)
    cfg.train.torch_mlp = TorchMLPConfig(epochs=4, hidden=[8], bins=8, leaves=0, batch_size=64)
    cfg.tune.families, cfg.tune.space, cfg.tune.trials, cfg.tune.concurrent = ["xgboost"], SPACE, 4, 1
    for name, value in tune.items():
        setattr(cfg.tune, name, value)
    return cfg


def shared(cfg: Config, name: str = "sweep") -> trial.Shared:
    """What the trials are given; Ray must be up."""
    store = Store(cfg.storage.root)
    found = gather(features(store), NAMES, "id", chosen(FOLDS))
    return trial.Shared(cfg, "all", FOLDS, found, Records.of(store, name), time.time())


def space(cfg: Config) -> Space:
    return Space.of(cfg)
