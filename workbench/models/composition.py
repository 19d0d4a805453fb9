"""A family's graph with what stands before and behind it, and the same as one native file.

Before it the score of an unsupervised model, which is the last of the family's inputs; behind it the correction of its
log-odds. A member without either is its family's own file and graph, untouched.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from workbench.models.correction import Correction
from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import IR_VERSION, OPSET, levelled, merge

MAGIC = b"workbench composed member 1\n"  # no family's own file begins like this
GRID = 1024.0  # scores are rounded to steps of 1 / GRID: trees cut at values, and the last bit is the runtime's own
NAME = "anomaly"  # the name of the input that is an anomaly score
Convert = Callable[[bytes, int], bytes]  # a framework's file and the number of features to an ONNX graph


@dataclass(frozen=True)
class Anomaly:
    """A fitted unsupervised model whose score is one more input of another."""

    family: str
    model: bytes  # the family's own file
    onnx: bytes  # the same as a graph


@dataclass(frozen=True)
class Member:
    """A family's own file, with what stands before and behind it."""

    model: bytes
    correction: Correction = Correction()  # noqa: RUF009 - frozen
    anomaly: Anomaly | None = None

    @property
    def plain(self) -> bool:
        """Whether nothing stands before or behind it."""
        return self.anomaly is None and self.correction == Correction()

    def to_bytes(self) -> bytes:
        """One file without code; the family's own where nothing was added."""
        if self.plain:
            return self.model
        about = {"correction": asdict(self.correction), "anomaly": self.anomaly.family if self.anomaly else None}
        parts = {"model": self.model}
        parts |= {"anomaly_model": self.anomaly.model, "anomaly_onnx": self.anomaly.onnx} if self.anomaly else {}
        sink = io.BytesIO()
        arrays = {name: np.frombuffer(content, np.uint8) for name, content in parts.items()}
        np.savez(sink, allow_pickle=False, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        return MAGIC + sink.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Member":
        """What `to_bytes` wrote."""
        if not content.startswith(MAGIC):
            return cls(content)
        with np.load(io.BytesIO(content[len(MAGIC) :]), allow_pickle=False) as stored:
            parts = {name: stored[name].tobytes() for name in stored.files}
        about = json.loads(parts["about"])
        anomaly = None
        if about["anomaly"]:
            anomaly = Anomaly(about["anomaly"], parts["anomaly_model"], parts["anomaly_onnx"])
        return cls(parts["model"], Correction(**about["correction"]), anomaly)

    def to_onnx(self, convert: Convert, features: int) -> bytes:
        """The graph from `features` [N, F] to the corrected `logit` [N]; `convert` is the family's own."""
        body = convert(self.model, features + (self.anomaly is not None))
        return body if self.plain else composed(body, self.anomaly, self.correction, features)


def composed(body: bytes, anomaly: Anomaly | None, correction: Correction, features: int) -> bytes:
    """One graph of the anomaly's, the family's and the correction's."""
    family = _part(body, "model")
    before, constants = _appended(anomaly) if anomaly else ([_same(INPUT, f"model/{INPUT}")], [])
    behind, numbers = correction.nodes(f"model/{OUTPUT}", OUTPUT)
    graph = helper.make_graph(
        [*before, *family.node, *behind],
        "composed",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N"])],
        [*constants, *family.initializer, *numbers],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _appended(anomaly: Anomaly) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The anomaly's graph, and its score as one more column of the features."""
    part, column = _part(anomaly.onnx, NAME), f"{NAME}/column"
    nodes = [
        _same(INPUT, f"{NAME}/{INPUT}"),
        *part.node,
        helper.make_node("Mul", [f"{NAME}/{OUTPUT}", f"{NAME}/grid"], [f"{NAME}/fine"], name=f"{NAME}/scale"),
        helper.make_node("Round", [f"{NAME}/fine"], [f"{NAME}/whole"], name=f"{NAME}/round"),
        helper.make_node("Div", [f"{NAME}/whole", f"{NAME}/grid"], [f"{NAME}/kept"], name=f"{NAME}/rescale"),
        helper.make_node("Unsqueeze", [f"{NAME}/kept", f"{NAME}/axis"], [column], name=f"{NAME}/as_column"),
        helper.make_node("Concat", [INPUT, column], [f"model/{INPUT}"], axis=1, name=f"{NAME}/append"),
    ]
    constants = {"axis": np.array([1], np.int64), "grid": np.float32(GRID)}
    made = [numpy_helper.from_array(np.asarray(value), f"{NAME}/{name}") for name, value in constants.items()]
    return nodes, [*part.initializer, *made]


def appended(x_NF: np.ndarray, anomaly: Anomaly | None) -> np.ndarray:
    """[N, F + 1] the features and, where there is one, the score of an unsupervised model: its graph's, as served."""
    if anomaly is None:
        return x_NF
    from workbench.models.scorer import Scorer  # ONNX Runtime, which most workers do without

    scorer = Scorer(merge({anomaly.family: anomaly.onnx}, [1.0], 0.0, x_NF.shape[1]))
    rounded_N = np.round(scorer.score(x_NF).logit_N * np.float32(GRID)) / np.float32(GRID)
    return np.concatenate([x_NF, rounded_N[:, None].astype(np.float32)], axis=1)


def _part(content: bytes, name: str) -> onnx.GraphProto:
    return compose.add_prefix(levelled(onnx.load_from_string(content)), f"{name}/").graph


def _same(taken: str, given: str) -> onnx.NodeProto:
    return helper.make_node("Identity", [taken], [given], name=f"{given}/same")
