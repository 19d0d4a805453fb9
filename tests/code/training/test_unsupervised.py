"""Real worker groups: models without labels, alone and before others; and losses that are no numbers any more."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray

from workbench.config import ScalingConfig, TrainConfig
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import Diverged
from workbench.families import LightGBMConfig, LogisticRegressionConfig, NetworkConfig, XGBoostConfig
from workbench.models import graph, native
from workbench.models.composition import Member
from workbench.models.scorer import Scorer
from workbench.networks import TorchMLPConfig
from workbench.training import group, plan, run
from workbench.training.families import train_each
from workbench.training.fits import Fold
from workbench.training.gather import gather
from workbench.training.trained import Trained
from workbench.unsupervised import AutoencoderConfig, IsolationForestConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
NAMES = ["amount", "count", "risk", "constant"]
FOLDS = [
    Fold("select", pc.field("part") == "train", pc.field("part") == "valid"),
    Fold("test", pc.field("part") != "test"),
]
TWO = ScalingConfig(name="tests", workers=2, cpus_per_worker=0.5)
RARE = {"positive_weight": 5.0, "negative_share": 0.5, "anomaly_feature": "isolation_forest"}
CFG = TrainConfig(
    families=["isolation_forest", "autoencoder", "xgboost", "lightgbm", "logistic_regression", "torch_mlp"],
    isolation_forest=IsolationForestConfig(trees=30, samples=256, rows="good"),
    autoencoder=AutoencoderConfig(epochs=6, hidden=[16], code=1, batch_size=64),
    xgboost=XGBoostConfig(rounds=30, max_bin=64, rising=["risk"], falling=["amount"], **RARE),
    lightgbm=LightGBMConfig(rounds=30, max_bin=63, rising=["risk"], falling=["amount"], positive_weight=5.0),
    logistic_regression=LogisticRegressionConfig(**RARE),
    torch_mlp=TorchMLPConfig(epochs=8, hidden=[8], bins=8, leaves=4, batch_size=64, loss="focal", **RARE),
)


def rows() -> pa.Table:
    """Rows of which few are positive, and those lie off the line that the others lie on."""
    random = np.random.default_rng(0)
    label = (random.random(3000) < 0.05).astype(float)
    amount = random.normal(5, 1, 3000)
    x_NF = np.stack([amount, amount + random.normal(0, 0.1, 3000), random.normal(label, 1), np.ones(3000)], axis=1)
    x_NF[:, 1] += label * random.choice([-3, 3], 3000)
    part = random.choice(["train", "valid", "test"], 3000, p=[0.5, 0.25, 0.25])
    columns = dict(zip(NAMES, x_NF.T, strict=True))
    return pa.table({"id": np.arange(3000), **columns, "label": label, "part": part})


def features(store: Store) -> Artifact:
    return snapshots.write(store, "features", "all", rows(), parents={}, config={}, rows_per_file=1000)


@pytest.fixture(scope="module")
def trained(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    found = features(Store(str(tmp_path_factory.mktemp("unsupervised"))))
    return train_each(found, NAMES, "id", FOLDS, CFG, TWO, "all")


@pytest.fixture(scope="module")
def x_NF() -> np.ndarray:
    return np.stack([rows()[name].to_numpy() for name in NAMES], axis=1).astype(np.float32)


def scored(one: Trained, x_NF: np.ndarray) -> np.ndarray:
    return Scorer(graph.merge({"one": one.fits["test", 0].onnx}, [1.0], 0.0, len(NAMES))).score(x_NF).logit_N


@pytest.mark.parametrize("family", ["isolation_forest", "autoencoder"])
def test_rows_off_the_line_stand_out_to_a_model_that_never_saw_a_label(
    trained: dict[str, Trained], family: str
) -> None:
    assert max(trained[family].fits["select", 0].average_precision) > 0.2, "chance is .05"


@pytest.mark.parametrize("family", CFG.families)
def test_the_graph_of_every_member_gives_what_its_native_files_give(
    trained: dict[str, Trained], x_NF: np.ndarray, family: str
) -> None:
    theirs = native.logits({family: trained[family].fits["test", 0].model}, x_NF)[family]
    np.testing.assert_allclose(scored(trained[family], x_NF), theirs, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["xgboost", "lightgbm", "logistic_regression", "torch_mlp"])
def test_weighed_thinned_and_focally_judged_rows_give_scores_that_are_shares_again(
    trained: dict[str, Trained], x_NF: np.ndarray, family: str
) -> None:
    mean = float(np.mean(1 / (1 + np.exp(-scored(trained[family], x_NF).astype(np.float64)))))
    assert 0.025 < mean < 0.1, "the share of positives is .05; uncorrected it would be above .2"


def test_the_anomaly_score_is_of_the_folds_own_rows_and_one_more_input(
    trained: dict[str, Trained], x_NF: np.ndarray
) -> None:
    members = {fold: Member.from_bytes(trained["xgboost"].fits[fold, 0].model) for fold in ("select", "test")}
    anomalies = [one.anomaly for one in members.values()]
    assert [one.family for one in anomalies if one] == ["isolation_forest"] * 2
    assert anomalies[0] != anomalies[1]
    of_logits = trained["xgboost"].fits["select", 0].logits_SN[-1]
    own = native.logits({"xgboost": members["select"].to_bytes()}, x_NF[np.array(rows()["part"]) == "valid"])
    np.testing.assert_allclose(of_logits, own["xgboost"], atol=1e-4)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(("feature", "sign"), [("risk", 1), ("amount", -1)])
def test_a_score_keeps_the_direction_of_a_feature(
    trained: dict[str, Trained], x_NF: np.ndarray, family: str, feature: str, sign: int
) -> None:
    member = Member.from_bytes(trained[family].fits["test", 0].model)
    changed = np.repeat(x_NF[:50], 40, axis=0)
    changed[:, NAMES.index(feature)] = np.tile(np.linspace(-10, 10, 40), 50)
    if member.anomaly:  # which has no direction: it stays as it is
        changed = np.concatenate([changed, np.zeros((len(changed), 1), np.float32)], axis=1)
    logit_N = native.logits({family: member.model}, changed)[family]
    steps = np.diff(logit_N.reshape(50, 40), axis=1) * sign
    assert steps.min() >= -1e-5
    assert steps.max() > 0


@dataclass(frozen=True)
class Leaping:
    """A family's entry for workers whose learning rate leaps in the seventh epoch."""

    family: str

    def __call__(self, config: dict[str, Any]) -> Any:
        import importlib

        from workbench.training import batches

        usual = batches.Seed.cosine
        batches.Seed.cosine = lambda seed, *at: 1e38 if seed.epoch == 7 else usual(seed, *at)  # type: ignore[method-assign]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"workbench.training.{self.family}").train(config)


def trained_leaping(family: str, found: Artifact) -> Trained:
    """The family with workers that leap, in this process of its own."""
    group.entry = lambda _: Leaping(family)
    short: dict[str, Any] = {"epochs": 9, "hidden": [8], "bins": 8, "leaves": 4, "batch_size": 64}
    cfg = TrainConfig(
        families=[family],
        torch_mlp=TorchMLPConfig(**short),
        keras_mlp=NetworkConfig(**short),
        autoencoder=AutoencoderConfig(epochs=9, hidden=[16], code=1, batch_size=64),
    )
    chosen = gather(found, NAMES, "id", plan.chosen(FOLDS))
    return run.train(family, chosen, FOLDS, cfg, TWO, found.store, "leaping")


@pytest.mark.parametrize("family", ["torch_mlp", "keras_mlp", "autoencoder"])
def test_a_loss_that_is_no_number_ends_the_training_at_its_step_and_keeps_the_last_good_checkpoint(
    store: Store, tmp_path: Path, family: str
) -> None:
    asked = ray.remote(num_cpus=0, max_calls=1)(trained_leaping).remote(family, features(store))
    said = rf"Training {family} was stopped. .* step \d+( of \d+)? in epoch 7 of select-seed0. Lower the learning rate"
    with pytest.raises(Diverged, match=said):
        ray.get(asked)
    kept = sorted((tmp_path / "store" / "checkpoints" / f"{family}-leaping").glob("checkpoint_*/manifest.json"))
    assert [json.loads(one.read_text())["step"] for one in kept] == [5, 6]
    if family != "keras_mlp":
        return
    with np.load(kept[-1].parent / "network", allow_pickle=False) as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
