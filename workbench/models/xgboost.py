"""Boosted trees: how they are stored, and how they become an ONNX graph of log-odds."""

import json
import math

import numpy as np
import onnx
import xgboost
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import flatten_output


def to_bytes(booster: xgboost.Booster) -> bytes:
    """The booster as UBJSON, the format that XGBoost reads on every version."""
    return bytes(booster.save_raw("ubj"))


def from_bytes(content: bytes) -> xgboost.Booster:
    """The booster of a file whose digest was verified: XGBoost's parser may crash on a damaged one."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    return booster


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by XGBoost itself: what the ONNX graph is compared with."""
    return from_bytes(content).inplace_predict(x_NF.astype(np.float32), predict_type="margin")


def contributions(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """[N, F + 1] each feature's share in the log-odds and the base: exact TreeSHAP (Lundberg and others, 2020)."""
    booster = from_bytes(content)
    booster.set_param({"nthread": 1})
    rows = xgboost.DMatrix(x_NF.astype(np.float32), nthread=1)
    return np.asarray(booster.predict(rows, pred_contribs=True, validate_features=False))


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N].

    The converter adds the logistic function to a classifier; converted as a regression over the same trees, the graph
    ends in the margin, and no precision is lost on the way through a probability.
    """
    booster = from_bytes(content)
    config = json.loads(booster.save_config())
    base = float(np.ravel(json.loads(config["learner"]["learner_model_param"]["base_score"]))[0])
    booster.set_param({"objective": "reg:squarederror"})
    model = convert_xgboost(booster, initial_types=[(INPUT, FloatTensorType([None, features]))], target_opset=15)
    (trees,) = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    kept = [attribute for attribute in trees.attribute if attribute.name != "base_values"]
    del trees.attribute[:]
    trees.attribute.extend([*kept, onnx.helper.make_attribute("base_values", [math.log(base / (1 - base))])])
    return bytes(flatten_output(model, OUTPUT).SerializeToString())
