"""scikit-learn's isolation forest: how it is stored, and how it becomes an ONNX graph of how much a row stands out.

The forest's own anomaly score is 2 ** -(mean depth at which a row is alone / the depth that is to be expected), between
0 and 1; the graph gives its log-odds, so that the score of a bundle is the forest's own again.
"""

import math
import zipfile
from typing import Any

import numpy as np
import onnx
import skops.io
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import IsolationForest

from workbench.models.ends import INPUT
from workbench.models.graph import IR_VERSION, OPSET, SHARE_MARGIN, at_most, log_odds_of_share

EULER = 0.5772156649015329


def to_bytes(forest: IsolationForest) -> bytes:
    """The forest in skops' format, which holds no code."""
    return bytes(skops.io.dumps(forest, compression=zipfile.ZIP_DEFLATED))


def from_bytes(content: bytes) -> IsolationForest:
    """The forest of a file whose digest was verified: scikit-learn follows a damaged tree out of its memory."""
    return skops.io.loads(content, trusted=["sklearn.tree._tree.Tree"])


def log_odds(forest: IsolationForest, x_NF: np.ndarray) -> np.ndarray:
    """The log-odds of the forest's anomaly score."""
    share_N = np.clip(-forest.score_samples(x_NF.astype(np.float32)), SHARE_MARGIN, 1 - SHARE_MARGIN)
    return np.log(share_N / (1 - share_N))


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Anomaly scores by scikit-learn itself: what the ONNX graph is compared with."""
    return log_odds(from_bytes(content), x_NF)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N].

    One operator holds all trees, each leaf worth its depth. skl2onnx's graph of the same 100 trees has 2,710, and
    takes some hundred times as long for a row (75 ms beside .1 to 1 on the same busy machine).
    """
    forest = from_bytes(content)
    expected = len(forest.estimators_) * float(path_length(np.array([forest.max_samples_]))[0])
    constants = {"shape": np.array([-1], np.int64), "rate": np.float32(-math.log(2) / expected)}
    graph = helper.make_graph(
        [
            helper.make_node("TreeEnsembleRegressor", [INPUT], ["depths"], domain="ai.onnx.ml", **_trees(forest)),
            helper.make_node("Reshape", ["depths", "shape"], ["depth"]),
            helper.make_node("Mul", ["depth", "rate"], ["exponent"]),
            helper.make_node("Exp", ["exponent"], ["share"]),
        ],
        "isolation_forest",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info("share", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    model = log_odds_of_share(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), "share")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def path_length(rows_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean depth of a tree of so many rows (Liu, Ting, Zhou: "Isolation Forest", 2008); a leaf may hold several."""
    several = np.maximum(rows_N.astype(np.float64), 3)
    mean = 2 * (np.log(several - 1) + EULER) - 2 * (several - 1) / several
    return np.where(rows_N > 2, mean, np.where(rows_N == 2, 1.0, 0.0))


def _trees(forest: IsolationForest) -> dict[str, list]:
    """The attributes of the operator: the nodes of all trees, and the depths of their leaves."""
    parts = [
        _tree(number, one.tree_, columns)
        for number, (one, columns) in enumerate(zip(forest.estimators_, forest.estimators_features_, strict=True))
    ]
    joined = {name: np.concatenate([part[name] for part in parts]).tolist() for name in parts[0]}
    leaf = [mode == "LEAF" for mode in joined["nodes_modes"]]
    depths = joined.pop("depths")
    targets = {
        "target_treeids": [one for one, is_leaf in zip(joined["nodes_treeids"], leaf, strict=True) if is_leaf],
        "target_nodeids": [one for one, is_leaf in zip(joined["nodes_nodeids"], leaf, strict=True) if is_leaf],
        "target_weights": [one for one, is_leaf in zip(depths, leaf, strict=True) if is_leaf],
    }
    return {**joined, **targets, "target_ids": [0] * sum(leaf), "n_targets": 1}  # type: ignore[dict-item]


def _tree(number: int, tree: Any, columns: NDArray[np.int64]) -> dict[str, np.ndarray]:
    left, right = tree.children_left, tree.children_right
    leaf = left < 0
    return {
        "nodes_treeids": np.full(len(left), number),
        "nodes_nodeids": np.arange(len(left)),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "nodes_featureids": np.where(leaf, 0, columns[np.where(leaf, 0, tree.feature)]),
        "nodes_values": at_most(np.where(leaf, 0, tree.threshold)),
        "nodes_truenodeids": np.maximum(left, 0),
        "nodes_falsenodeids": np.maximum(right, 0),
        "depths": _depths(left, right) + path_length(tree.n_node_samples),
    }


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far each node is from the root; a node comes before its children."""
    depth = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0):
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth
