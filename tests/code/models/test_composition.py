"""An anomaly score before a family and a correction behind it make one graph and one native file that agree."""

import numpy as np
import pytest

from tests.code.models.linear import member
from workbench.models import graph, isolation_forest, logistic_regression, native
from workbench.models.composition import Anomaly, Member, composed
from workbench.models.correction import Correction
from workbench.models.scorer import Scorer

RANDOM = np.random.default_rng(0)
X = RANDOM.lognormal(1, 1, (500, 3)).astype(np.float32)
SCORE = Anomaly("isolation_forest", b"its own file", member([0.5, -1.0, 2.0], 0.25))


def scored(content: bytes) -> np.ndarray:
    return Scorer(graph.merge({"one": content}, [1.0], 0.0, 3)).score(X).logit_N


def test_a_family_sees_the_features_and_then_the_anomaly_score() -> None:
    found = scored(composed(member([1.0, 2.0, 3.0, 10.0]), SCORE, Correction(-1.5), 3))
    anomaly_N = X @ [0.5, -1.0, 2.0] + 0.25
    np.testing.assert_allclose(found, X @ [1.0, 2.0, 3.0] + 10 * anomaly_N - 1.5, rtol=1e-5, atol=10 / 2047)


def test_two_members_with_the_same_anomaly_score_mix_in_one_graph() -> None:
    first = composed(member([1.0, 0.0, 0.0, 1.0]), SCORE, Correction(), 3)
    other = composed(member([0.0, 1.0, 0.0, 1.0]), SCORE, Correction(), 3)
    mixed = Scorer(graph.merge({"a": first, "b": other}, [0.5, 0.5], 0.0, 3)).score(X).logit_N
    np.testing.assert_allclose(mixed, (scored(first) + scored(other)) / 2, rtol=1e-5, atol=1e-5)


def test_a_member_without_anything_added_is_its_familys_own_file_and_graph() -> None:
    assert Member(b"PK whatever").to_bytes() == b"PK whatever"
    assert Member.from_bytes(b"PK whatever") == Member(b"PK whatever")
    assert Member(b"").to_onnx(lambda _, features: member([1.0] * features), 3) == member([1.0, 1.0, 1.0])


@pytest.mark.parametrize("anomaly", [None, SCORE])
def test_a_member_comes_back_from_its_file(anomaly: Anomaly | None) -> None:
    one = Member(b"\x00 model", Correction(-0.1, 2.0), anomaly)
    assert Member.from_bytes(one.to_bytes()) == one


def forest() -> isolation_forest.IsolationForest:
    return isolation_forest.IsolationForest(n_estimators=7, max_samples=64, max_features=0.7, random_state=0).fit(X)


def test_the_native_files_say_what_the_graph_says(ray_session: None) -> None:
    content = isolation_forest.to_bytes(forest())
    weights = RANDOM.normal(size=4)
    model = logistic_regression.to_bytes(np.zeros(4), np.ones(4), weights, 0.5)
    one = Member(model, Correction(-2.0), Anomaly("isolation_forest", content, isolation_forest.to_onnx(content, 3)))
    ours = scored(one.to_onnx(logistic_regression.to_onnx, 3))
    theirs = native.logits({"logistic_regression": one.to_bytes()}, X)["logistic_regression"]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.std(ours - X @ weights[:3]) > 0.01, "the anomaly score takes part"


def test_the_score_of_an_isolation_forest_is_scikit_learns_own() -> None:
    one = forest()
    score_N = Scorer(graph.merge({"f": isolation_forest.to_onnx(isolation_forest.to_bytes(one), 3)}, [1.0], 0.0, 3))
    np.testing.assert_allclose(score_N.score(X).score_N, -one.score_samples(X), atol=1e-6)


@pytest.mark.parametrize(("columns", "share"), [(1, 1.0), (3, 0.34)])
def test_trees_that_see_one_feature_have_a_graph(columns: int, share: float) -> None:
    x_NF = X[:, :columns]
    one = isolation_forest.IsolationForest(n_estimators=7, max_samples=64, max_features=share, random_state=0).fit(x_NF)
    content = isolation_forest.to_onnx(isolation_forest.to_bytes(one), columns)
    score_N = Scorer(graph.merge({"f": content}, [1.0], 0.0, columns)).score(x_NF).score_N
    np.testing.assert_allclose(score_N, -one.score_samples(x_NF), atol=1e-6)


def test_a_value_on_a_cut_goes_where_scikit_learn_sends_it() -> None:
    one = forest()
    cuts = np.concatenate([tree.tree_.threshold[tree.tree_.children_left >= 0] for tree in one.estimators_])
    near = np.concatenate([cuts.astype(np.float32), np.nextafter(cuts.astype(np.float32), np.float32(np.inf))])
    x_NF = np.repeat(near[:, None], 3, axis=1)
    content = isolation_forest.to_bytes(one)
    found = Scorer(graph.merge({"f": isolation_forest.to_onnx(content, 3)}, [1.0], 0.0, 3)).score(x_NF).logit_N
    np.testing.assert_allclose(found, isolation_forest.logits(content, x_NF), atol=1e-5)


def test_rows_far_from_all_others_stand_out() -> None:
    content = isolation_forest.to_bytes(forest())
    usual, odd = isolation_forest.logits(content, np.array([[2.0, 2, 2], [300.0, 300, 300]]))
    assert odd > usual + 0.3
