"""A multilayer perceptron in Keras on TensorFlow: built, stored, and exported as an ONNX graph of log-odds."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf

from workbench.models.encoding import Encoding
from workbench.models.graph import INPUT, OUTPUT, flatten_output, rename_input


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


def build(encoding: Encoding, hidden: Sequence[int], dropout: float, seed: int) -> keras.Model:
    """A network from [N, F] raw features to [N, 1] log-odds."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((len(encoding.mean),), name=INPUT, dtype="float32")
    x = Encode(encoding)(x)
    for units in hidden:
        x = keras.layers.Dropout(dropout)(keras.layers.Dense(units, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def lookup(network: keras.Model, first: np.ndarray, seen: Sequence[tf.Tensor], training: bool) -> tf.Tensor:
    """The same log-odds [N] from the places of the values (logs, codes, values); see `encoding.py`."""
    logs_NF, code_NF, value_NF = seen
    dense, *rest = network.layers[2:]
    logs_FH, codes_CH = tf.split(dense.kernel, [len(first), dense.kernel.shape[0] - len(first)])
    below_CH = tf.concat(
        [tf.zeros((1, codes_CH.shape[1])), tf.cumsum(codes_CH)], axis=0
    )  # sums of all codes before each
    curves_NFH = tf.gather(below_CH, code_NF) + tf.gather(codes_CH, code_NF) * value_NF[:, :, None]
    start_H = dense.bias - tf.reduce_sum(tf.gather(below_CH, first), axis=0)
    x = dense.activation(start_H + logs_NF @ logs_FH + tf.reduce_sum(curves_NFH, axis=1))
    for layer in rest:
        x = layer(x, training=training)
    return x[:, 0]


def to_bytes(network: keras.Model, encoding: Encoding) -> bytes:
    """Encoding and weights as plain arrays; no code, no configuration to be trusted."""
    sink = io.BytesIO()
    weights = {f"weight_{i:02d}": np.asarray(one) for i, one in enumerate(network.get_weights())}
    np.savez(sink, allow_pickle=False, **encoding.arrays(), **weights)
    return sink.getvalue()


def from_bytes(content: bytes) -> keras.Model:
    """The network, ready to score."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        encoding = Encoding(**{name: stored[name] for name in ("mean", "scale", "feature", "low", "slope")})
        weights = [stored[name] for name in sorted(stored.files) if name.startswith("weight_")]
    network = build(encoding, [one.shape[1] for one in weights[:-2:2]], dropout=0.0, seed=0)
    network.set_weights(weights)
    return network


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by TensorFlow itself: what the ONNX graph is compared with."""
    return np.asarray(from_bytes(content)(x_NF.astype(np.float32), training=False))[:, 0]


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    network = from_bytes(content)
    network(np.zeros((1, features), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        network.export(str(path), format="onnx", verbose=False)
        model = rename_input(onnx.load(path), INPUT)
    return bytes(flatten_output(model, OUTPUT).SerializeToString())
