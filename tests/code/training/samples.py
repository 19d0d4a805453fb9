"""A small training on rows of which the features tell something, and what makes two trainings the same."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import ScalingConfig, TrainConfig
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.families import LightGBMConfig, NetworkConfig, XGBoostConfig
from workbench.networks import TorchMLPConfig
from workbench.training.families import train_each
from workbench.training.fits import Fold
from workbench.training.trained import Trained

FAMILIES = ["xgboost", "lightgbm", "torch_mlp", "keras_mlp"]
NAMES = ["amount", "count", "risk"]
FOLDS = [
    Fold("select", pc.field("part") == "train", pc.field("part") == "valid"),
    Fold("test", pc.field("part") != "test"),
]
CFG = TrainConfig(
    families=FAMILIES,
    xgboost=XGBoostConfig(rounds=80, max_bin=64),
    lightgbm=LightGBMConfig(rounds=80, max_bin=63, bagging_fraction=0.8),
    torch_mlp=TorchMLPConfig(epochs=8, hidden=[8], bins=8, leaves=4, dropout=0.2, batch_size=64),
    keras_mlp=NetworkConfig(epochs=8, hidden=[8], bins=8, leaves=4, dropout=0.2, batch_size=64),
)
TWO = ScalingConfig(name="tests", workers=2, cpus_per_worker=0.5)


def rows() -> pa.Table:
    """Rows of which the features tell something, a tenth of them without a label."""
    random = np.random.default_rng(0)
    x_NF = random.lognormal(1, 1, (801, len(NAMES)))
    label = (x_NF[:, 0] + random.normal(0, 1, 801) > 4).astype(float)
    known = pa.array(label, mask=random.random(801) < 0.1)
    part = random.choice(["train", "valid", "test"], 801, p=[0.6, 0.2, 0.2])
    return pa.table({"id": np.arange(801), **dict(zip(NAMES, x_NF.T, strict=True)), "label": known, "part": part})


def snapshot(store: Store, table: pa.Table, key: str = "all", rows_per_file: int = 300) -> Artifact:
    return snapshots.write(store, "features", key, table, parents={}, config={}, rows_per_file=rows_per_file)


def trained(features: Artifact, name: str, cfg: TrainConfig = CFG) -> dict[str, Trained]:
    return train_each(features, NAMES, "id", FOLDS, cfg, TWO, name)


def attempts(segments: Mapping[int, pa.Table]) -> dict[tuple[str, int], int]:
    """Which attempt each step of each fit stands from: of a step that was repeated, the last."""
    return {
        (fit, step): attempt
        for attempt, table in sorted(segments.items())
        for fit, step in zip(table["fit"].to_pylist(), table["step"].to_pylist(), strict=True)
    }


def same(one: Trained, other: Trained) -> None:
    """They are one model, to the last bit, with one history."""
    assert (one.steps, list(one.fits)) == (other.steps, list(other.fits))
    for name, fitted in one.fits.items():
        again = other.fits[name]
        assert fitted.steps == again.steps
        assert fitted.average_precision == again.average_precision
        assert fitted.train_loss == again.train_loss
        np.testing.assert_array_equal(np.array(fitted.logits_SN), np.array(again.logits_SN))
        assert fitted.model == again.model
