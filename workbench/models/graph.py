"""ONNX graphs of one shape: from `features` float32 [N, F] to `logit` float32 [N]; and many of them merged into one.

The merged graph is linear in log-odds: logit = sum of weight x member's logit. A stack's explanation is then the same
mixture of its members' exact explanations. score = 1 / (1 + exp(-logit)), of calibrated log-odds where there are any.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from workbench.models import calibration as calibrated
from workbench.models.calibration import Calibration
from workbench.models.ends import INPUT, MEMBERS, OUTPUT, SCORE

SHARE_MARGIN = 2.0**-20  # a share of 0 or 1 has no log-odds; a float32 holds one less this exactly
OPSET, IR_VERSION = 20, 10  # what every converter here reaches and the runtime reads


def at_most(cut_T: np.ndarray) -> np.ndarray:
    """The greatest float32 that is not above each cut [T]: for every float32 x, `x <= it` is `x <= cut`.

    The nearest float32 may be above; a value that lies just there would go the other way.
    """
    near_T = cut_T.astype(np.float32)
    return np.where(near_T > cut_T, np.nextafter(near_T, np.float32(-np.inf)), near_T)


def flatten_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The same graph with its single output, [N, 1] or [N], as `name` of shape [N]."""
    (output,) = model.graph.output
    if not any(one.domain == "" for one in model.opset_import):  # trees alone need no operator of the standard
        model.opset_import.append(helper.make_opsetid("", OPSET))
    shape = numpy_helper.from_array(np.array([-1], np.int64), "flat_shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Reshape", [output.name, "flat_shape"], [name], name="flatten_output"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]))
    return model


def log_odds_of_share(model: onnx.ModelProto, share: str) -> onnx.ModelProto:
    """The same graph with a single output, `logit` [N]: the log-odds of its value `share` [N], kept off 0 and 1."""
    constants = {"share_low": SHARE_MARGIN, "share_high": 1 - SHARE_MARGIN, "share_one": 1.0}
    model.graph.initializer.extend(numpy_helper.from_array(np.float32(v), name) for name, v in constants.items())
    for operator, inputs, output in (
        ("Clip", [share, "share_low", "share_high"], "share_kept"),
        ("Sub", ["share_one", "share_kept"], "share_other"),
        ("Div", ["share_kept", "share_other"], "share_odds"),
        ("Log", ["share_odds"], OUTPUT),
    ):
        model.graph.node.append(helper.make_node(operator, inputs, [output], name=f"share/{output}"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N"]))
    return model


def rename_input(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The same graph with its single input called `name`."""
    (graph_input,) = model.graph.input
    for node in model.graph.node:
        node.input[:] = [name if one == graph_input.name else one for one in node.input]
    graph_input.name = name
    return model


def select_inputs(content: bytes, places: Sequence[int], features: int) -> bytes:
    """A member that takes all `features` [N, F] and looks at those in `places` only, in that order."""
    if list(places) == list(range(features)):
        return content
    model = rename_input(onnx.load_from_string(content), "selected_features")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(places, np.int64), "selected_places"))
    inputs = [INPUT, "selected_places"]
    model.graph.node.insert(0, helper.make_node("Gather", inputs, ["selected_features"], axis=1, name="select_inputs"))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features]))
    return bytes(model.SerializeToString())


def merge(
    members: dict[str, bytes],
    weights: Sequence[float],
    intercept: float,
    features: int,
    calibration: Calibration | None = None,
) -> bytes:
    """One graph that scores all members: outputs `score` [N], `logit` [N] and `member_logits` [N, M]."""
    body = _side_by_side(members)
    last, constants = calibrated.nodes(calibration, OUTPUT, "calibrated") if calibration else ([], [])
    sure = helper.make_node("Sigmoid", ["calibrated" if calibration else OUTPUT], [SCORE], name="score")
    graph = helper.make_graph(
        [*_share_input(list(members)), *body.node, *_mixture(list(members)), *last, sure],
        "ensemble",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features])],
        [
            helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info(MEMBERS, TensorProto.FLOAT, ["N", len(members)]),
        ],
        [*body.initializer, *_constants(weights, intercept), *constants],
    )
    return _checked(graph)


def averaged(parts: Sequence[bytes]) -> bytes:
    """One member whose `logit` [N] is the mean of several graphs', such as the fits of several seeds."""
    if len(parts) == 1:
        return parts[0]
    members = {f"fit{number}": content for number, content in enumerate(parts)}
    body, names = _side_by_side(members), list(members)
    mean = helper.make_node("Mean", [f"{name}/{OUTPUT}" for name in names], [OUTPUT], name="mean")
    graph = helper.make_graph(
        [*_share_input(names), *body.node, mean],
        "bag",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", _width(parts[0])])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N"])],
        list(body.initializer),
    )
    return _checked(graph)


def _side_by_side(members: dict[str, bytes]) -> onnx.GraphProto:
    """The nodes and constants of all members, each under its name."""
    body = None
    for name, content in members.items():
        part = compose.add_prefix(levelled(onnx.load_from_string(content)), f"{name}/")
        body = part.graph if body is None else compose.merge_graphs(body, part.graph, io_map=[])
    assert body is not None, "an ensemble has at least one member"
    return body


def _width(content: bytes) -> int:
    """The number of features that a graph asks for."""
    (given,) = onnx.load_from_string(content).graph.input
    return int(given.type.tensor_type.shape.dim[1].dim_value)


def _checked(graph: onnx.GraphProto) -> bytes:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ray-ai-workbench")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def levelled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph at the common opset, without functions and shape notes that would clash with another's."""
    if next(one.version for one in model.opset_import if one.domain == "") != OPSET:
        model = version_converter.convert_version(model, OPSET)
    del model.graph.value_info[:]
    return model


def _share_input(names: list[str]) -> list[onnx.NodeProto]:
    return [helper.make_node("Identity", [INPUT], [f"{name}/{INPUT}"], name=f"{name}/share_input") for name in names]


def _mixture(names: list[str]) -> list[onnx.NodeProto]:
    column = [
        helper.make_node("Unsqueeze", [f"{name}/{OUTPUT}", "column_axis"], [f"{name}/column"], name=f"{name}/as_column")
        for name in names
    ]
    return [
        *column,
        helper.make_node("Concat", [f"{name}/column" for name in names], [MEMBERS], axis=1, name="members"),
        helper.make_node("MatMul", [MEMBERS, "weights"], ["mixed"], name="mix"),
        helper.make_node("Add", ["mixed", "intercept"], [OUTPUT], name="shift"),
    ]


def _constants(weights: Sequence[float], intercept: float) -> list[TensorProto]:
    return [
        numpy_helper.from_array(np.array([1], np.int64), "column_axis"),
        numpy_helper.from_array(np.asarray(weights, np.float32), "weights"),
        numpy_helper.from_array(np.float32(intercept), "intercept"),
    ]
