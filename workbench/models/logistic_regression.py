"""A logistic regression: how it is stored, and how it becomes an ONNX graph of log-odds."""

import io

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import IR_VERSION, OPSET


def to_bytes(mean_F: np.ndarray, scale_F: np.ndarray, weight_F: np.ndarray, bias: float) -> bytes:
    """The numbers of the model: standardisation, weights and bias."""
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, mean=mean_F, scale=scale_F, weight=weight_F, bias=np.float64(bias))
    return sink.getvalue()


def _numbers(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds in double precision: what the ONNX graph is compared with."""
    own = _numbers(content)
    return ((x_NF.astype(np.float32) - own["mean"]) / own["scale"]) @ own["weight"] + own["bias"]


def contributions(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """[N, F + 1] each feature's share in the log-odds and the base, which is the log-odds of the mean training row."""
    own = _numbers(content)
    each_NF = (x_NF.astype(np.float32) - own["mean"]) / own["scale"] * own["weight"]
    return np.concatenate([each_NF, np.full((len(x_NF), 1), float(own["bias"]))], axis=1)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    own = _numbers(content)
    assert own["weight"].shape == (features,), f"{own['weight'].shape} weights, {features} features"
    graph = helper.make_graph(
        [
            helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standardised"]),
            helper.make_node("MatMul", ["standardised", "weight"], ["sum"]),
            helper.make_node("Add", ["sum", "bias"], [OUTPUT]),
        ],
        "logistic_regression",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in own.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
