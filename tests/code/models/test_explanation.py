"""Explanations add up to the log-odds, and are the libraries' own and Shapley's by their definitions."""

import itertools
import math
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from tests.code.models.linear import member
from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.models import explanation, graph, logistic_regression
from workbench.models import lightgbm as light
from workbench.models import xgboost as boosted
from workbench.models.bundle import Bundle
from workbench.models.composition import Member
from workbench.models.correction import Correction
from workbench.models.explanation import Explainer
from workbench.models.scorer import Scorer

F = 6
X = np.random.default_rng(1).normal(0, 2, (400, F)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] + X[:, 2] > 0.5).astype(int)
TREES = xgboost.train(
    {"objective": "binary:logistic", "max_depth": 4, "eta": 0.3}, xgboost.DMatrix(X, Y), num_boost_round=40
)
LEAVES = lightgbm.train(
    {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, Y), num_boost_round=30
)
BOOSTED, LIGHT = boosted.to_bytes(TREES), light.to_bytes(LEAVES)
LOGISTIC = logistic_regression.to_bytes(X.mean(0), X.std(0), np.linspace(-1, 1, F), -3.0)


def bundle_of(graphs: dict[str, bytes], weights: list[float], means: list[float], features: int = F) -> Bundle:
    names = [f"x{n}" for n in range(features)]
    columns = {"id": ColumnConfig("integer"), "time": ColumnConfig("timestamp")} | {
        name: ColumnConfig("number") for name in names
    }
    data = DataConfig(name="d", id="id", event_time="time", columns=columns, label=LabelConfig(delay_days=1))
    view = ViewConfig(name="row", features=[FeatureConfig(name=name, kind="column", column=name) for name in names])
    profile = {"features": {name: {"mean": mean} for name, mean in zip(names, means, strict=True)}}
    return Bundle(
        version="v1",
        threshold=0.5,
        members=tuple(graphs),
        weights=tuple(weights),
        scorer=Scorer(graph.merge(graphs, weights, 0.0, features)),
        feature_set=FeatureSet.of(FeaturesConfig(views=[view]), data),
        reference={"profile": profile},
        card={},
    )


def mixture() -> Explainer:
    """Two kinds of trees, a logistic regression, and one that no library explains."""
    graphs = {
        "xgboost": boosted.to_onnx(BOOSTED, F),
        "lightgbm": light.to_onnx(LIGHT, F),
        "logistic_regression": logistic_regression.to_onnx(LOGISTIC, F),
        "torch_mlp": member([0.5, -1.0, 0.0, 2.0, 0.25, 1.0], 1.0),
    }
    files = {"members/xgboost": BOOSTED, "members/lightgbm": LIGHT, "members/logistic_regression": LOGISTIC}
    return Explainer(bundle_of(graphs, [0.4, 0.3, 0.2, 0.1], X.mean(0).tolist()), files)


def test_base_and_contributions_are_the_log_odds_of_a_mixture_of_all_kinds() -> None:
    explainer = mixture()
    for row in X[:20]:
        found = explainer.explain(row.tolist())
        scored = explainer._bundle.scorer.score(row[None])
        assert found.base + math.fsum(found.contribution_F) == pytest.approx(float(scored.logit_N[0]), abs=1e-9)
        assert found.score == float(scored.score_N[0])
    assert {name: (part.method, part.exact) for name, part in found.members.items()} == {
        "xgboost": ("tree_shap", True), "lightgbm": ("tree_shap", True), "logistic_regression": ("linear", True),
        "torch_mlp": ("shapley", True),
    }  # fmt: skip


def test_each_members_part_is_its_librarys_own() -> None:
    found = mixture().explain(X[0].tolist())
    own = TREES.predict(xgboost.DMatrix(X[:1]), pred_contribs=True)[0]
    np.testing.assert_allclose(
        [*found.members["xgboost"].contribution_F, found.members["xgboost"].base], own, atol=1e-5
    )
    theirs = np.asarray(LEAVES.predict(X[:1], pred_contrib=True))[0]
    np.testing.assert_allclose(found.members["lightgbm"].contribution_F, theirs[:-1], atol=1e-5)
    weights = np.linspace(-1, 1, F) * (X[0] - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(found.members["logistic_regression"].contribution_F, weights, atol=1e-5)
    linear = np.array([0.5, -1.0, 0.0, 2.0, 0.25, 1.0]) * (X[0] - X.mean(0))
    np.testing.assert_allclose(found.members["torch_mlp"].contribution_F, linear, atol=1e-4)
    weighted = zip(found.members.values(), (0.4, 0.3, 0.2, 0.1), strict=True)
    mixed = np.sum([part.contribution_F * weight for part, weight in weighted], axis=0)
    np.testing.assert_allclose(found.contribution_F, mixed, atol=1e-6)


def test_a_bag_is_the_mean_of_its_fits_and_a_shift_is_part_of_the_base() -> None:
    corrected = Member(BOOSTED, Correction(shift=-1.5)).to_bytes()
    onnx = Member.from_bytes(corrected).to_onnx(boosted.to_onnx, F)
    bag = bundle_of({"xgboost": graph.averaged([onnx, onnx])}, [1.0], X.mean(0).tolist())
    found = Explainer(bag, {f"members/xgboost/seed{n}": corrected for n in (0, 1)}).explain(X[0].tolist())
    own = TREES.predict(xgboost.DMatrix(X[:1]), pred_contribs=True)[0]
    np.testing.assert_allclose(found.contribution_F, own[:-1], atol=1e-5)
    assert found.base == pytest.approx(own[-1] - 1.5, abs=1e-5)


def bent(x_NF: Any) -> np.ndarray:
    """A function with interactions."""
    x = np.asarray(x_NF, np.float64)
    return np.stack([x[:, 0] * x[:, 1] + np.maximum(x[:, 2], 0), x[:, 0] * x[:, 1] * x[:, 2]], axis=1)


def by_definition(x_F: np.ndarray, mean_F: np.ndarray) -> np.ndarray:
    """The mean gain over all orders."""
    share = np.zeros((len(x_F), 2))
    orders = list(itertools.permutations(range(len(x_F))))
    for order in orders:
        row = mean_F.copy()
        for feature in order:
            before = bent(row[None])[0]
            row[feature] = x_F[feature]
            share[feature] += bent(row[None])[0] - before
    return share / len(orders)


def test_few_features_are_enumerated_and_many_are_sampled_towards_the_same() -> None:
    x, mean = X[0].astype(np.float64), X.mean(0).astype(np.float64)
    expected = by_definition(x, mean)
    base_M, share_FM = explanation._enumerated(bent, x, mean)
    np.testing.assert_allclose(base_M, bent(mean[None])[0], atol=1e-5)
    np.testing.assert_allclose(share_FM, expected, atol=1e-4)
    _, sampled_FM = explanation._sampled(bent, x, mean)
    np.testing.assert_allclose(sampled_FM.sum(axis=0), expected.sum(axis=0), atol=1e-4)
    np.testing.assert_allclose(sampled_FM, expected, atol=0.3 * np.abs(expected).max())


def test_more_features_than_can_be_enumerated_are_an_estimate_that_adds_up_and_says_so() -> None:
    wide = bundle_of({"keras_mlp": member([0.1] * 15)}, [1.0], [0.0] * 15, 15)
    found = Explainer(wide, {}).explain([float(n) for n in range(15)])
    assert (found.members["keras_mlp"].method, found.members["keras_mlp"].exact) == ("sampled_shapley", False)
    assert found.base + math.fsum(found.contribution_F) == pytest.approx(found.log_odds, abs=1e-9)
    np.testing.assert_allclose(found.contribution_F, [0.1 * n for n in range(15)], atol=1e-5)


def test_files_of_another_model_are_told_and_not_smoothed_over() -> None:
    other = boosted.to_bytes(xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, 1 - Y), 5))
    wrong = Explainer(bundle_of({"xgboost": boosted.to_onnx(BOOSTED, F)}, [1.0], [0.0] * F), {"members/xgboost": other})
    with pytest.raises(StoreError, match="not of one model"):
        wrong.explain(X[0].tolist())
