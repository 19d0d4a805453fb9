"""Networks on two real workers over gloo: they go on from a checkpoint as if nothing had been, whatever their kind."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.config import ScalingConfig, TrainConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import ConfigError
from workbench.models import graph, inputs, native
from workbench.models.scorer import Scorer
from workbench.networks import SequenceConfig, TorchMLPConfig, TransformerConfig, WideDeepConfig
from workbench.training import group, plan
from workbench.training.checkpoints import Shelf
from workbench.training.families import train_each
from workbench.training.fits import SCORED, Fit, Fitted, Fold, Partial
from workbench.training.gather import Gathered, gather

NAMES = ["amount", "shop", *(f"{one}_{back}_back" for back in (1, 2) for one in ("amount", "elapsed"))]
FOLDS = [
    Fold("select", pc.field("part") == "train", pc.field("part") == "valid"),
    Fold("test", pc.field("part") != "test"),
]
SMALL: dict[str, Any] = {"epochs": 4, "hidden": [8], "bins": 8, "leaves": 4, "dropout": 0.2, "batch_size": 64}
TORCH = {
    "torch_mlp": TorchMLPConfig(**SMALL, embeddings=["shop"], embedding_units=2),
    "lstm": SequenceConfig(**SMALL, width=8, layers=2),
    "lstm_attention": SequenceConfig(**SMALL, width=8),
    "transformer": TransformerConfig(**SMALL, width=8, heads=2),
}
KERAS = {"keras_wide_deep": WideDeepConfig(**SMALL, crosses=[["amount", "shop"]], cells=4)}
TWO = ScalingConfig(name="tests", workers=2, cpus_per_worker=0.5)


def table() -> pa.Table:
    """Rows of which the amount and the one before it tell something; some have no earlier event."""
    random = np.random.default_rng(0)
    x_NF = random.lognormal(1, 1, (801, len(NAMES)))
    x_NF[:, 1] = random.integers(0, 9, 801)
    label = (x_NF[:, 0] + x_NF[:, 2] + random.normal(0, 1, 801) > 9).astype(float)
    x_NF[random.random(801) < 0.3, NAMES.index("elapsed_2_back")] = -1
    part = random.choice(["train", "valid", "test"], 801, p=[0.6, 0.2, 0.2])
    return pa.table({"id": np.arange(801), **dict(zip(NAMES, x_NF.T, strict=True)), "label": label, "part": part})


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("networks")))


@pytest.fixture(scope="module")
def rows(ray_session: None, store_of_all: Store) -> dict[str, Gathered]:
    features = snapshots.write(store_of_all, "features", "all", table(), parents={}, config={})
    return gather(features, NAMES, "id", plan.chosen(FOLDS))


def on_two_workers(
    work: Callable[[dict[str, Any]], Any], families: dict[str, Any], rows: dict[str, Gathered], store: Store, name: str
) -> dict[str, Any]:
    """What `work` gives in a worker group, for families of one framework."""
    folds = {fold.name: rows[fold.name] for fold in FOLDS}
    configs = {family: plan.config_of(hyper, [], folds, TWO) for family, hyper in families.items()}
    counts = {name: (fold.rows, TWO.workers) for name, fold in folds.items()}
    configs = {family: config | {"rows": counts} for family, config in configs.items()}
    shelf = Shelf(store, name, "networks")
    return group.fit("networks", work, {"gpu": False, "families": configs}, rows, TWO, shelf)


def facts(family: str, config: dict[str, Any]) -> dict[str, Fitted]:
    """A fit in one go, and from its second epoch on; with PyTorch also in parts, and in bfloat16."""
    from workbench.training import workers

    loop, fit = importlib.import_module(f"workbench.training.{family}").loop, Fit("select", 3, selects=True)
    shard = workers.rows_of("select", config["names"])
    scored = workers.rows_of("select" + SCORED, config["names"]) if workers.rank() == 0 else None
    kept: dict[int, Partial] = {}

    def keep(step: int, fitted: Fitted, state: Callable[[], dict[str, bytes]]) -> None:
        kept[step] = Partial(step, Fitted.from_bytes(fitted.to_bytes()), state())

    def fitted(start: Partial | None = None, **hyper: Any) -> Fitted:
        changed = config | {"hyper": replace(config["hyper"], **hyper)}
        return loop(shard, scored, 4, fit, changed, start, lambda *_: None)

    found = {"whole": loop(shard, scored, 4, fit, config, None, keep), "resumed": fitted(kept[2])}
    if family in TORCH:
        found |= {"plain": fitted(dropout=0.0), "in_parts": fitted(dropout=0.0, accumulate=3)}
        found["bf16"] = low = fitted(dropout=0.0, precision="bf16")
        low.onnx = importlib.import_module(f"workbench.models.{family}").to_onnx(low.model, len(config["names"]))
    return found


def torch_work(config: dict[str, Any]) -> dict[str, Any]:
    """The facts of every PyTorch family."""
    from workbench.training import torch_loop

    with torch_loop.torch_group(gpu=False):
        return {family: facts(family, one) for family, one in config["families"].items()}


def keras_work(config: dict[str, Any]) -> dict[str, Any]:
    """The facts of every Keras family."""
    from workbench.training import keras_loop

    group = {"strategy": keras_loop.group()}
    return {family: facts(family, one | group) for family, one in config["families"].items()}


@pytest.fixture(scope="module")
def found(rows: dict[str, Gathered], store_of_all: Store) -> dict[str, dict[str, Fitted]]:
    """The facts of all families, as the first worker has them."""
    by_torch = on_two_workers(torch_work, TORCH, rows, store_of_all, "torch")
    return by_torch | on_two_workers(keras_work, KERAS, rows, store_of_all, "keras")


def logits(fitted: Fitted) -> np.ndarray:
    return np.array(fitted.logits_SN)


@pytest.mark.parametrize("family", [*TORCH, *KERAS])
def test_a_fit_that_goes_on_from_a_checkpoint_is_the_fit_in_one_go(
    found: dict[str, dict[str, Fitted]], family: str
) -> None:
    whole, resumed = found[family]["whole"], found[family]["resumed"]
    assert resumed.steps == whole.steps == [1, 2, 3, 4]
    np.testing.assert_array_equal(logits(resumed), logits(whole))
    assert resumed.train_loss == whole.train_loss
    assert resumed.model == whole.model


@pytest.mark.parametrize("family", [*TORCH, *KERAS])
def test_a_network_learns(found: dict[str, dict[str, Fitted]], family: str) -> None:
    whole = found[family]["whole"]
    assert whole.train_loss[-1] < whole.train_loss[0]
    assert whole.average_precision[-1] > 0.5


@pytest.mark.parametrize("family", TORCH)
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(found: dict[str, dict[str, Fitted]], family: str) -> None:
    np.testing.assert_allclose(logits(found[family]["in_parts"]), logits(found[family]["plain"]), atol=2e-3)


@pytest.mark.parametrize("family", TORCH)
def test_bfloat16_is_near_to_float32_and_not_the_same(found: dict[str, dict[str, Fitted]], family: str) -> None:
    difference = np.abs(logits(found[family]["bf16"]) - logits(found[family]["plain"]))
    assert 0 < difference.max() < 0.3


@pytest.mark.parametrize("family", TORCH)
def test_what_bfloat16_trained_is_scored_as_its_shipped_graph_scores_it(
    found: dict[str, dict[str, Fitted]], family: str
) -> None:
    one, names = found[family]["bf16"], inputs.names_of(TORCH[family], NAMES)
    valid = table().filter(pc.field("part") == "valid")
    x_NF = np.stack([valid[name].to_numpy() for name in names], axis=1).astype(np.float32)
    shipped = Scorer(graph.merge({family: one.onnx}, [1.0], 0.0, len(names))).score(x_NF).logit_N
    np.testing.assert_allclose(one.logits_SN[-1], shipped, atol=1e-4)


def compiled_work(config: dict[str, Any]) -> dict[str, Fitted]:
    """A perceptron's fit, and the same one compiled."""
    from workbench.training import torch_loop, torch_mlp, workers

    shard, fit = workers.rows_of("select", config["names"]), Fit("select", 3, selects=True)
    scored = workers.rows_of("select" + SCORED, config["names"]) if workers.rank() == 0 else None

    def fitted(**hyper: Any) -> Fitted:
        changed = config | {"hyper": replace(config["hyper"], dropout=0.0, **hyper)}
        return torch_mlp.loop(shard, scored, 4, fit, changed, None, lambda *_: None)

    with torch_loop.torch_group(gpu=False):
        return {"plain": fitted(), "compiled": fitted(compile=True)}


@pytest.mark.slow
def test_a_compiled_network_learns_what_it_learns_uncompiled(rows: dict[str, Gathered], store_of_all: Store) -> None:
    config = plan.config_of(TORCH["torch_mlp"], [], {fold.name: rows[fold.name] for fold in FOLDS}, TWO)
    config["rows"] = {fold.name: (rows[fold.name].rows, TWO.workers) for fold in FOLDS}
    shelf = Shelf(store_of_all, "compiled", "networks")
    both = group.fit("networks", compiled_work, {**config, "gpu": False}, rows, TWO, shelf)
    np.testing.assert_allclose(logits(both["compiled"]), logits(both["plain"]), atol=2e-3)


@pytest.mark.slow
def test_members_of_all_families_take_all_columns_and_score_as_their_networks_do(
    rows: dict[str, Gathered], store_of_all: Store
) -> None:
    families = {**TORCH, **KERAS}
    cfg = TrainConfig(families=[*families], **families)
    trained = train_each(store_of_all.get("features", "all"), NAMES, "id", FOLDS, cfg, TWO, "all")
    graphs = {family: one.fits["test", 0].onnx for family, one in trained.items()}
    natives = {family: one.fits["test", 0].model for family, one in trained.items()}
    x_NF = np.stack([table()[name].to_numpy() for name in NAMES], axis=1).astype(np.float32)
    ours = Scorer(graph.merge(graphs, [1.0] * len(graphs), 0.0, len(NAMES))).score(x_NF).member_logits_NM.T
    theirs = native.logits(natives, x_NF, {one: inputs.places_of(families[one], NAMES) for one in families})
    for family, logit_N in zip(families, ours, strict=True):
        np.testing.assert_allclose(logit_N, theirs[family], atol=1e-4)


@pytest.mark.usefixtures("ray_session")
def test_a_sequence_family_without_earlier_events_is_refused_before_any_worker_starts(store: Store) -> None:
    own = table().select(["id", "amount", "label", "part"])
    features = snapshots.write(store, "features", "own", own, parents={}, config={})
    with pytest.raises(ConfigError, match="show no earlier event"):
        train_each(features, ["amount"], "id", FOLDS, TrainConfig(families=["lstm"]), TWO, "own")
