"""LightGBM's boosted trees: how they are stored, and how they become an ONNX graph of log-odds."""

import re

import lightgbm
import numpy as np
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from workbench.models import graph
from workbench.models.ends import INPUT, OUTPUT

THRESHOLDS = re.compile("^threshold=(.+)$", re.MULTILINE)
SIZES = re.compile("^tree_sizes=.+\n", re.MULTILINE)  # bytes of each tree, for reading in parallel; may be missing
LOGISTIC, IDENTITY = "objective=binary sigmoid:1\n", "objective=regression\n"


def to_bytes(booster: lightgbm.Booster) -> bytes:
    """The booster as LightGBM's own text."""
    return str(booster.model_to_string(num_iteration=-1)).encode()


def from_bytes(content: bytes) -> lightgbm.Booster:
    """The booster of a file whose digest was verified."""
    return lightgbm.Booster(model_str=content.decode())


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by LightGBM itself, of the features as float32: what the ONNX graph is compared with."""
    return np.asarray(from_bytes(content).predict(x_NF.astype(np.float32), raw_score=True))


def contributions(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """[N, F + 1] each feature's share in the log-odds and the base: exact TreeSHAP (Lundberg and others, 2020)."""
    rows = x_NF.astype(np.float32)
    return np.asarray(from_bytes(content).predict(rows, pred_contrib=True, num_threads=1))


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]: the same trees, read as a regression, end in the margin."""
    text = content.decode()
    assert LOGISTIC in text, "the booster has another objective than the one that this workbench trains"
    text = THRESHOLDS.sub(lambda line: f"threshold={_below(line[1])}", SIZES.sub("", text))
    booster = lightgbm.Booster(model_str=text.replace(LOGISTIC, IDENTITY))
    booster.params["objective"] = "regression"  # the converter looks here first
    model = convert_lightgbm(booster, initial_types=[(INPUT, FloatTensorType([None, features]))], target_opset=15)
    return bytes(graph.flatten_output(model, OUTPUT).SerializeToString())


def _below(thresholds: str) -> str:
    """The same thresholds as the graph's float32 must have them, written so that none changes again."""
    return " ".join(f"{one:.17g}" for one in graph.at_most(np.array(thresholds.split(), np.float64)))
