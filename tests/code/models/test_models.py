"""Every family becomes an ONNX graph of the same log-odds, and a bundle that was touched is refused."""

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workbench.config import FAMILIES
from workbench.data.store import Artifact, Store
from workbench.errors import InputError, StoreError
from workbench.features.definitions import FeatureSet
from workbench.models import bundle, graph, native
from workbench.models.encoding import Encoding
from workbench.models.scorer import Scorer

WIDTH = 5
WEIGHTS = [0.3, 0.2, 0.2, 0.1, 0.1, 0.1, *[0.0] * (len(FAMILIES) - 6)]
RANDOM = np.random.default_rng(0)
X = RANDOM.lognormal(3, 2, (2000, WIDTH)).astype(np.float32)
X[::3, 3] = -1  # to a sequence: no earlier event
Y = (X[:, 0] > np.quantile(X[:, 0], 0.9)).astype(np.float32)


def made(family: str) -> tuple[bytes, bytes]:
    """A small model of the family in its own format, and its graph; the converters warn of their own libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = small(family)
        return content, importlib.import_module(f"workbench.models.{family}").to_onnx(content, WIDTH)


def small(family: str) -> bytes:
    """A small model of the family in its own format."""
    module = importlib.import_module(f"workbench.models.{family}")
    encoding = Encoding.of(X, Y, 8, 4)
    if family == "xgboost":
        data = module.xgboost.DMatrix(X, Y)
        parameters = {"objective": "binary:logistic", "base_score": 0.3, "nthread": 1}
        return bytes(module.to_bytes(module.xgboost.train(parameters, data, 8)))
    if family == "lightgbm":
        parameters = {"objective": "binary", "boost_from_average": False, "num_threads": 1, "verbosity": -1}
        return bytes(module.to_bytes(module.lightgbm.train(parameters, module.lightgbm.Dataset(X, Y), 8)))
    if family == "random_forest":
        return bytes(module.to_bytes(module.RandomForestClassifier(8, max_depth=4, random_state=0).fit(X, Y)))
    if family == "logistic_regression":
        return bytes(module.to_bytes(X.mean(axis=0), X.std(axis=0), RANDOM.normal(size=WIDTH), -2.0))
    if family == "torch_mlp":
        return bytes(module.to_bytes(module.Network(encoding, [16, 8], 0.1)))
    if family == "isolation_forest":
        return bytes(module.to_bytes(module.IsolationForest(n_estimators=8, random_state=0).fit(X)))
    if family == "autoencoder":
        mean_F, scale_F = (module.torch.from_numpy(one) for one in (X.mean(axis=0), 1 / X.std(axis=0)))
        return bytes(module.to_bytes(module.Network(mean_F, scale_F, [16, 8], 2)))
    if family == "keras_mlp":
        return bytes(module.Network(encoding, [16, 8], 0.1, seed=0).to_bytes())
    if family == "keras_wide_deep":
        network = module.Network(encoding, [16, 8], 0.1, 0, np.array([[0, 1], [3, 1]]), 4)
        network.model.set_weights([RANDOM.normal(0, 0.1, one.shape) for one in network.model.get_weights()])
        return bytes(network.to_bytes())
    return small_sequence(module, encoding)


def small_sequence(module: Any, encoding: Encoding) -> bytes:
    """A small network of one step back: the third column is what the first was then, the fourth says when."""
    from workbench.models import sequences  # it brings PyTorch, and that and TensorFlow do not share a process

    own, step = encoding.take([0, 1]), (encoding.mean[[0, 3]], encoding.scale[[0, 3]])
    places = (np.array([0, 1]), np.array([[2, 3], [0, WIDTH]]))
    body = next(one for one in map(vars(module).get, ("Recurrent", "Attentive", "Transformer")) if one)
    shape = sequences.Shape((16, 8), width=8, layers=2, heads=2, steps=2, dropout=0.1)
    return bytes(module.to_bytes(sequences.Network(own, step, places, body, shape)))


@pytest.fixture(scope="module")
def members(ray_session: None) -> dict[str, tuple[bytes, bytes]]:
    """Native file and ONNX graph of each family; TensorFlow and PyTorch do not share a process."""
    keras = [family for family in FAMILIES if family.startswith("keras")]
    others = [family for family in FAMILIES if family not in keras]
    together = ray.remote(max_calls=1)(lambda families: {family: made(family) for family in families})
    found = {
        family: one
        for part in ray.get([together.remote(keras), together.remote(others)])
        for family, one in part.items()
    }
    return {family: found[family] for family in FAMILIES}


@pytest.fixture(scope="module")
def merged(members: dict[str, tuple[bytes, bytes]]) -> bytes:
    return graph.merge({name: one[1] for name, one in members.items()}, WEIGHTS, 0.1, WIDTH)


@pytest.mark.slow
def test_each_member_scores_as_its_framework_does(members: dict[str, tuple[bytes, bytes]], merged: bytes) -> None:
    scores = Scorer(merged).score(X)
    theirs = native.logits({family: content for family, (content, _) in members.items()}, X)
    for column, family in enumerate(members):
        np.testing.assert_allclose(scores.member_logits_NM[:, column], theirs[family], atol=1e-4, rtol=1e-4)


def looked_up(family: str, bins: int, leaves: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds as training computes them, by lookup, and as the network itself gives them."""
    module = importlib.import_module(f"workbench.models.{family}")
    encoding = Encoding.of(X, Y, bins, leaves)
    if family == "torch_mlp":
        network = module.Network(encoding, [16, 8], 0.0)
        seen = tuple(module.torch.from_numpy(one) for one in network.seen(X))
        return network.looked_up(*seen).detach().numpy(), network(module.torch.from_numpy(X)).detach().numpy()
    network = module.Network(encoding, [16, 8], 0.0, seed=0)
    return np.asarray(network.looked_up(network.seen(X), training=True)), np.asarray(network.model(X))[:, 0]


@pytest.mark.parametrize(("bins", "leaves"), [(0, 0), (0, 4), (16, 4)])
@pytest.mark.parametrize("family", ["torch_mlp", "keras_mlp"])
def test_a_network_trains_on_the_log_odds_that_it_scores(
    ray_session: None, family: str, bins: int, leaves: int
) -> None:
    trained, scored = ray.get(ray.remote(max_calls=1)(looked_up).remote(family, bins, leaves))
    assert np.std(scored) > 0
    np.testing.assert_allclose(trained, scored, atol=1e-4)


def test_the_ensemble_is_linear_in_log_odds(merged: bytes) -> None:
    scores = Scorer(merged).score(X)
    np.testing.assert_allclose(scores.logit_N, scores.member_logits_NM @ WEIGHTS + 0.1, atol=1e-4)
    np.testing.assert_allclose(scores.score_N, 1 / (1 + np.exp(-scores.logit_N)), atol=1e-6)


def test_one_row_scores_as_it_does_among_many(merged: bytes) -> None:
    scorer = Scorer(merged)
    score, logits = scorer.one(X[7].tolist())
    many = scorer.score(X)
    assert score == pytest.approx(float(many.score_N[7]), abs=1e-6)
    assert logits == pytest.approx(many.member_logits_NM[7].tolist(), abs=1e-4)


def test_features_that_mean_nothing_are_refused(merged: bytes) -> None:
    with pytest.raises(InputError, match="NaN"):
        Scorer(merged).score(np.full((1, WIDTH), np.nan))
    with pytest.raises(InputError, match="do not fit"):
        Scorer(merged).score(np.zeros((1, WIDTH + 1)))


KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def version(store: Store, merged: bytes) -> Artifact:
    features = FeatureSet((), "id", "time", "known_time").to_json()
    files = {name: json.dumps(content).encode() for name, content in (("reference.json", {}), ("card.json", {}))}
    files |= {"model.onnx": merged, "features.json": json.dumps(features).encode()}
    about = {"members": ["xgboost"], "weights": [1.0], "threshold": 0.5}
    return bundle.write(store, "v1", files, about, KEY, {}, {})


def test_a_signed_bundle_opens(version: Artifact) -> None:
    assert bundle.open_bundle(version, KEY.public_key()).threshold == 0.5


@pytest.mark.parametrize("name", ["model.onnx", "features.json", "card.json", "bundle.json", "bundle.sig"])
def test_one_flipped_bit_in_any_file_is_refused(version: Artifact, name: str) -> None:
    path = Path(version.folder) / name
    content = path.read_bytes()
    for offset in RANDOM.integers(0, len(content), 10):
        touched = bytearray(content)
        touched[offset] ^= 1
        path.write_bytes(touched)
        with pytest.raises(StoreError):
            bundle.open_bundle(version, KEY.public_key())


def test_a_bundle_of_another_key_is_refused(version: Artifact) -> None:
    with pytest.raises(StoreError, match="not signed with this installation's key"):
        bundle.open_bundle(version, Ed25519PrivateKey.generate().public_key())


def on_cuts() -> float:
    """How far LightGBM's graph is from it on values that lie just above cuts of its own, as some values do."""
    light = importlib.import_module("workbench.models.lightgbm")
    steps_V = np.float32(0.1) * np.arange(1, 1001, dtype=np.float32)
    x_NF = RANDOM.choice(steps_V, (4000, 3)).astype(np.float32)
    label_N = (x_NF.sum(axis=1) + RANDOM.normal(0, 20, len(x_NF)) > 150).astype(np.float32)
    parameters = {"objective": "binary", "boost_from_average": False, "num_threads": 1, "verbosity": -1, "max_bin": 63}
    content = light.to_bytes(light.lightgbm.train(parameters, light.lightgbm.Dataset(x_NF, label_N), 40))
    cuts_T = np.concatenate([np.array(line.split(), float) for line in light.THRESHOLDS.findall(content.decode())])
    near_T = cuts_T.astype(np.float32)
    assert (near_T > cuts_T).any(), "some cuts have a float32 above them that is the nearest"
    x_NF = RANDOM.choice(near_T, (4000, 3))
    scores = Scorer(graph.merge({"lightgbm": light.to_onnx(content, 3)}, [1.0], 0.0, 3)).score(x_NF)
    return float(np.abs(scores.member_logits_NM[:, 0] - light.logits(content, x_NF)).max())


def test_a_value_that_lies_on_a_cut_goes_the_same_way_in_the_graph(ray_session: None) -> None:
    assert ray.get(ray.remote(max_calls=1)(on_cuts).remote()) < 1e-5
