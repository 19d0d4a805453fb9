"""Members whose log-odds can be said beforehand: a weight per feature, and a constant."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from workbench.models import graph


def member(weights: list[float], constant: float = 0.0, opset: int = graph.OPSET) -> bytes:
    """The graph of a linear member, shaped as every family's."""
    made = helper.make_graph(
        [
            helper.make_node("MatMul", [graph.INPUT, "w"], ["sum"], name="mix"),
            helper.make_node("Add", ["sum", "c"], [graph.OUTPUT], name="shift"),
        ],
        "member",
        [helper.make_tensor_value_info(graph.INPUT, TensorProto.FLOAT, ["N", len(weights)])],
        [helper.make_tensor_value_info(graph.OUTPUT, TensorProto.FLOAT, ["N"])],
        [
            numpy_helper.from_array(np.array(weights, np.float32), "w"),
            numpy_helper.from_array(np.float32(constant), "c"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=graph.IR_VERSION)
    return bytes(model.SerializeToString())
