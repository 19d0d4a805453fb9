"""Graphs of models that are sound, slow, or no number: what a release must survive."""

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from workbench.models import ends, graph

SLOW_SIDE = 1600  # of the matrices that a slow version multiplies for every score


def linear(weights: list[float], intercept: float = 0.0) -> bytes:
    """Log-odds: the weighted sum of the features."""
    constant = numpy_helper.from_array(np.array(weights, np.float32), "w")
    return _merged([helper.make_node("MatMul", [ends.INPUT, "w"], [ends.OUTPUT])], [constant], len(weights), intercept)


def no_number(width: int, above: float = -1.0) -> bytes:
    """NaN for a row whose first feature is greater than `above`, which every row's is by default; else 0."""
    constants = [
        numpy_helper.from_array(np.array([0], np.int64), "first"),
        numpy_helper.from_array(np.float32(above), "above"),
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.float32("nan"), "nan"),
        numpy_helper.from_array(np.array([-1], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("Gather", [ends.INPUT, "first"], ["picked"], axis=1),
        helper.make_node("Reshape", ["picked", "flat"], ["picked_row"]),
        helper.make_node("Greater", ["picked_row", "above"], ["is_above"]),
        helper.make_node("Where", ["is_above", "nan", "zero"], [ends.OUTPUT]),
    ]
    return _merged(nodes, constants, width)


def slow(width: int) -> bytes:
    """0 for every row, after a product of large matrices that depends on the row and so is made each time."""
    constants = [
        numpy_helper.from_array(np.array([SLOW_SIDE, SLOW_SIDE], np.int64), "side"),
        numpy_helper.from_array(np.zeros(width, np.float32), "nothing"),
        numpy_helper.from_array(np.float32(0), "zero"),
    ]
    nodes = [
        helper.make_node("MatMul", [ends.INPUT, "nothing"], ["zeros"]),
        helper.make_node("ReduceSum", [ends.INPUT], ["sum"], keepdims=0),
        helper.make_node("Expand", ["sum", "side"], ["large"]),
        helper.make_node("MatMul", ["large", "large"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "zero"], ["vanished"]),
        helper.make_node("Add", ["zeros", "vanished"], [ends.OUTPUT]),
    ]
    return _merged(nodes, constants, width)


def _merged(nodes: list[NodeProto], constants: list[TensorProto], width: int, intercept: float = 0.0) -> bytes:
    for number, node in enumerate(nodes):
        node.name = f"n{number}"
    inputs = [helper.make_tensor_value_info(ends.INPUT, TensorProto.FLOAT, ["N", width])]
    outputs = [helper.make_tensor_value_info(ends.OUTPUT, TensorProto.FLOAT, ["N"])]
    made = helper.make_graph(nodes, "member", inputs, outputs, constants)
    opset = [helper.make_opsetid("", graph.OPSET)]
    member = helper.make_model(made, opset_imports=opset, ir_version=graph.IR_VERSION).SerializeToString()
    return graph.merge({"linear": bytes(member)}, [1.0], intercept, width)
