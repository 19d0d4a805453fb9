"""scikit-learn's random forest: how it is stored, and how it becomes an ONNX graph of log-odds."""

import zipfile

import numpy as np
import onnx
import skops.io
from onnx import helper, numpy_helper
from skl2onnx import to_onnx as converted
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

from workbench.models.ends import INPUT
from workbench.models.graph import SHARE_MARGIN, log_odds_of_share


def to_bytes(forest: RandomForestClassifier) -> bytes:
    """The forest in skops' format, which holds no code."""
    return bytes(skops.io.dumps(forest, compression=zipfile.ZIP_DEFLATED))


def from_bytes(content: bytes) -> RandomForestClassifier:
    """The forest of a file whose digest was verified: scikit-learn follows a damaged tree out of its memory."""
    return skops.io.loads(content, trusted=["sklearn.tree._tree.Tree"])


def log_odds(forest: RandomForestClassifier, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds of the trees' mean share of positives, kept off 0 and 1."""
    share_N = np.clip(forest.predict_proba(x_NF.astype(np.float32))[:, 1], SHARE_MARGIN, 1 - SHARE_MARGIN)
    return np.log(share_N / (1 - share_N))


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by scikit-learn itself: what the ONNX graph is compared with."""
    return log_odds(from_bytes(content), x_NF)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    forest = from_bytes(content)
    model = converted(
        forest,
        initial_types=[(INPUT, FloatTensorType([None, features]))],
        options={id(forest): {"zipmap": False}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    model.graph.initializer.append(numpy_helper.from_array(np.int64(1), "positive"))
    shares = next(output.name for output in model.graph.output if output.name != "label")
    model.graph.node.append(helper.make_node("Gather", [shares, "positive"], ["share"], axis=1, name="share/positive"))
    return bytes(log_odds_of_share(onnx.ModelProto.FromString(model.SerializeToString()), "share").SerializeToString())
