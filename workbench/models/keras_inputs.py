"""What Keras networks begin with, the input encoding; and how they are stored and exported.

Shapes: N rows, F features, C codes, H units.
"""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf

from workbench.models.encoding import Encoding
from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import flatten_output, rename_input

Stored = dict[str, np.ndarray]


class Encode(keras.layers.Layer):
    """The input layer: [N, F] raw features to [N, F + C]; see `encoding.py`."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__(name="encode", trainable=False)
        self.constants = encoding.arrays()  # numpy: a captured tensor would become an input of the exported graph

    def call(self, x_NF: tf.Tensor) -> tf.Tensor:
        """Standardised logs, clipped at eight deviations, beside the piecewise-linear codes."""
        c = self.constants  # log(1 + x), not log1p: ONNX has no log1p
        logs = (tf.sign(x_NF) * tf.math.log(1.0 + tf.abs(x_NF)) - c["mean"]) * c["scale"]
        codes = (tf.gather(x_NF, c["feature"], axis=1) - c["low"]) * c["slope"]
        return tf.concat([tf.clip_by_value(logs, -8.0, 8.0), tf.clip_by_value(codes, 0.0, 1.0)], axis=1)


def looked_up(kernel_IH: tf.Tensor, bias_H: tf.Tensor, first: np.ndarray, seen: Sequence[tf.Tensor]) -> tf.Tensor:
    """[N, H] what a linear layer makes of `Encode`'s output, from the places of the values; see `encoding.py`."""
    logs_NF, code_NF, value_NF = seen
    logs_FH, codes_CH = tf.split(kernel_IH, [len(first), kernel_IH.shape[0] - len(first)])
    zeros_1H = tf.zeros((1, codes_CH.shape[1]))
    below_CH = tf.concat([zeros_1H, tf.cumsum(codes_CH)], axis=0)  # sums of all codes before each
    curves_NFH = tf.gather(below_CH, code_NF) + tf.gather(codes_CH, code_NF) * value_NF[:, :, None]
    start_H = bias_H - tf.reduce_sum(tf.gather(below_CH, first), axis=0)
    return start_H + logs_NF @ logs_FH + tf.reduce_sum(curves_NFH, axis=1)


def to_bytes(model: keras.Model, encoding: Encoding, **more: np.ndarray) -> bytes:
    """Encoding and weights as plain arrays; no code, no configuration to be trusted."""
    sink = io.BytesIO()
    weights = {f"weight_{i:02d}": np.asarray(one) for i, one in enumerate(model.get_weights())}
    np.savez(sink, allow_pickle=False, **encoding.arrays(), **weights, **more)
    return sink.getvalue()


def from_bytes(content: bytes) -> tuple[Encoding, list[np.ndarray], Stored]:
    """Encoding, weights in their order, and all arrays by name."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = dict(stored)
    encoding = Encoding(**{name: arrays[name] for name in ("mean", "scale", "feature", "low", "slope")})
    return encoding, [arrays[name] for name in sorted(arrays) if name.startswith("weight_")], arrays


def to_onnx(model: keras.Model, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    model(np.zeros((1, features), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(str(path), format="onnx", verbose=False)
        graph = rename_input(onnx.load(path), INPUT)
    return bytes(flatten_output(graph, OUTPUT).SerializeToString())
