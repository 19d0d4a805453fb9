"""Log-odds that were learnt of weighed, thinned or focally judged rows become those of the rows as they are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import minimize_scalar

from tests.code.models.linear import member
from workbench.families import LogisticRegressionConfig, NetworkConfig, XGBoostConfig
from workbench.models import composition, graph
from workbench.models.correction import Correction
from workbench.models.scorer import Scorer
from workbench.unsupervised import IsolationForestConfig

Z = np.concatenate([np.linspace(-60, 60, 2401), [-1e4, 1e4]]).astype(np.float32)


def focal_optimum(share: float, gamma: float) -> float:
    """The log-odds at which the focal loss of rows with this share of positives is least."""

    def loss(z: float) -> float:
        p = 1 / (1 + math.exp(-z))
        return -share * (1 - p) ** gamma * math.log(p) - (1 - share) * p**gamma * math.log(1 - p)

    return float(minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9}).x)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.93])
def test_what_the_focal_loss_learns_is_corrected_to_the_true_share(share: float, gamma: float) -> None:
    learnt = focal_optimum(share, gamma)
    corrected = Correction(gamma=gamma).applied(np.array([learnt]))[0]
    assert corrected == pytest.approx(math.log(share / (1 - share)), abs=1e-3)
    assert share == 0.5 or abs(learnt - corrected) > 0.1, "without a correction it would be far off"


@given(st.floats(0.01, 1), st.floats(0.01, 100))
def test_weights_and_sampling_are_corrected_by_what_they_did_to_the_odds(share: float, weight: float) -> None:
    positives, negatives = 7, 900
    learnt = math.log(weight * positives / (share * negatives))
    hyper = LogisticRegressionConfig(positive_weight=weight, negative_share=share)
    corrected = Correction.of(hyper).applied(np.array([learnt]))[0]
    assert corrected == pytest.approx(math.log(positives / negatives))


def test_nothing_is_corrected_where_nothing_was_done_or_no_label_was_seen() -> None:
    for hyper in (XGBoostConfig(), NetworkConfig(focal_gamma=3.0), IsolationForestConfig()):
        assert Correction.of(hyper) == Correction()
    assert Correction.of(NetworkConfig(loss="focal", focal_gamma=3.0)).gamma == 3


@pytest.mark.parametrize("correction", [Correction(-2.5), Correction(1.0, 2.0), Correction(0.0, 0.5), Correction(0, 5)])
def test_the_graph_corrects_as_training_does_and_keeps_the_order(correction: Correction) -> None:
    plain = composition.composed(member([1.0]), None, correction, 1)
    found = Scorer(graph.merge({"one": plain}, [1.0], 0.0, 1)).score(Z[:, None]).logit_N
    np.testing.assert_allclose(found, correction.applied(Z), rtol=2e-6, atol=2e-6)
    order = np.argsort(Z, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_the_largest_log_odds_stay_numbers_as_scores() -> None:
    largest = np.array([[np.finfo(np.float32).max], [np.finfo(np.float32).min]])
    plain = composition.composed(member([1.0]), None, Correction(1.0, 2.0), 1)
    assert Scorer(graph.merge({"one": plain}, [1.0], 0.0, 1)).score(largest).score_N.tolist() == [1, 0]


def test_a_member_of_another_opset_is_brought_to_the_common_one() -> None:
    nodes = [helper.make_node("MatMul", [graph.INPUT, "w"], [graph.OUTPUT], name="sum")]
    made = helper.make_graph(
        nodes,
        "old",
        [helper.make_tensor_value_info(graph.INPUT, TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info(graph.OUTPUT, TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.ones(1, np.float32), "w")],
    )
    old = helper.make_model(made, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    shifted = composition.composed(old, None, Correction(3.0), 1)
    assert Scorer(graph.merge({"one": shifted}, [1.0], 0.0, 1)).score(np.zeros((1, 1))).logit_N.tolist() == [3]
