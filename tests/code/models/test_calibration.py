"""A calibration keeps the order of the rows, in double precision and as ONNX operators, which say the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code.models.linear import member
from workbench.models import calibration, graph
from workbench.models.calibration import Calibration
from workbench.models.scorer import Scorer


@st.composite
def curves(draw: st.DrawFn) -> Calibration:
    """A rising curve of up to thirty knots whose pieces may be nearly flat or steep."""
    size = draw(st.integers(1, 30))
    steps = st.lists(st.floats(2**-10, 2, width=32), min_size=size, max_size=size)
    knot, value = np.cumsum(draw(steps)) - 10, np.cumsum(draw(steps)) - 6
    return Calibration("isotonic", knot.tolist(), value.tolist(), draw(st.floats(2**-10, 3, width=32)))


def scorer(curve: Calibration | None) -> Scorer:
    return Scorer(graph.merge({"one": member([1.0]), "two": member([0.5])}, [0.5, 0.5], 0.0, 1, curve))


def calibrated(curve: Calibration, x_NF: np.ndarray) -> np.ndarray:
    """What the graph makes of the log-odds before the runtime's logistic function, which is good to 3e-8 only."""
    model = onnx.load_from_string(graph.merge({"one": member([1.0])}, [1.0], 0.0, 1, curve))
    model.graph.output.append(onnx.helper.make_tensor_value_info("calibrated", onnx.TensorProto.FLOAT, ["N"]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["calibrated"], {graph.INPUT: x_NF})[0])


X = np.concatenate([np.linspace(-30, 30, 501), np.random.default_rng(0).normal(-6, 4, 500)])[:, None]


@settings(max_examples=15)
@given(curves())
def test_the_graph_says_what_the_numbers_say(curve: Calibration) -> None:
    found = scorer(curve).score(X)
    expected = curve.probability(found.logit_N)
    np.testing.assert_allclose(found.score_N, expected, atol=1e-5)
    np.testing.assert_allclose(found.logit_N, X[:, 0] * 0.75, rtol=1e-5), "the log-odds stay the mixture"


@settings(max_examples=15)
@given(curves())
def test_no_two_rows_trade_places(curve: Calibration) -> None:
    assert (np.diff(calibrated(curve, np.sort(X, axis=0).astype(np.float32))) >= 0).all()
    assert (np.diff(curve.logit(np.unique(X))) > 0).all(), "and none become equal in double precision"


def test_a_row_alone_scores_as_among_others() -> None:
    curve = Calibration("isotonic", [-3.0, 0.0, 1.0], [-5.0, -1.0, 2.0], 0.5)
    both = scorer(curve)
    assert [both.one([float(x)])[0] for x in X[:50, 0]] == pytest.approx(both.score(X[:50]).score_N.tolist(), rel=1e-5)


def test_without_a_calibration_the_graph_is_as_it_was() -> None:
    plain = onnx.load_from_string(graph.merge({"one": member([1.0])}, [1.0], 0.0, 1))
    names = [node.op_type for node in plain.graph.node]
    assert names[-1] == "Sigmoid"
    assert "Min" not in names


@given(curves())
def test_it_can_be_written_and_read_again(curve: Calibration) -> None:
    assert calibration.of_json(curve.to_json()) == curve
    assert calibration.of_json(None) is None


def test_extreme_log_odds_stay_numbers() -> None:
    curve = Calibration("platt", [0.0], [-1.0], 1.5)
    found = scorer(curve).score(np.array([[3e37], [-3e37]]))
    assert found.score_N.tolist() == [1.0, 0.0]
