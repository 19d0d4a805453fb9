"""LightGBM's boosted trees: how they are stored, and how they become an ONNX graph of log-odds."""

import lightgbm
import numpy as np
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import flatten_output

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
    booster = lightgbm.Booster(model_str=text.replace(LOGISTIC, IDENTITY))
    booster.params["objective"] = "regression"  # the converter looks here first
    model = convert_lightgbm(booster, initial_types=[(INPUT, FloatTensorType([None, features]))], target_opset=15)
    return bytes(flatten_output(model, OUTPUT).SerializeToString())
