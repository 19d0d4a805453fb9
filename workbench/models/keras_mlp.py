"""A multilayer perceptron in Keras on TensorFlow: built, stored, and exported as an ONNX graph of log-odds."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from workbench.models import keras_inputs
from workbench.models.encoding import Encoding
from workbench.models.ends import INPUT
from workbench.models.keras_inputs import Encode


class Network:
    """`model`: from [N, F] raw features to [N, 1] log-odds."""

    def __init__(self, encoding: Encoding, hidden: Sequence[int], dropout: float, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.encoding = encoding
        x = inputs = keras.Input((len(encoding.mean),), name=INPUT, dtype="float32")
        x = Encode(encoding)(x)
        for units in hidden:
            x = keras.layers.Dropout(dropout)(keras.layers.Dense(units, activation="relu")(x))
        self.model = keras.Model(inputs, keras.layers.Dense(1)(x))

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs of each row."""
        return self.encoding.seen(x_NF)

    def looked_up(self, seen: Sequence[tf.Tensor], training: bool) -> tf.Tensor:
        """The same log-odds [N] from the places of the values (logs, codes, values); see `encoding.py`."""
        dense, *rest = self.model.layers[2:]
        x = dense.activation(keras_inputs.looked_up(dense.kernel, dense.bias, self.encoding.first, seen))
        for layer in rest:
            x = layer(x, training=training)
        return x[:, 0]

    def to_bytes(self) -> bytes:
        """Encoding and weights as plain arrays."""
        return keras_inputs.to_bytes(self.model, self.encoding)


def from_bytes(content: bytes) -> Network:
    """The network, ready to score."""
    encoding, weights, _ = keras_inputs.from_bytes(content)
    network = Network(encoding, [one.shape[1] for one in weights[:-2:2]], dropout=0.0, seed=0)
    network.model.set_weights(weights)
    return network


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by TensorFlow itself: what the ONNX graph is compared with."""
    return np.asarray(from_bytes(content).model(x_NF.astype(np.float32), training=False))[:, 0]


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return keras_inputs.to_onnx(from_bytes(content).model, features)
