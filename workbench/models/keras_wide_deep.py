"""A wide & deep network in Keras on TensorFlow: a perceptron, and beside it what is linear.

The wide part (Cheng et al.: "Wide & Deep Learning for Recommender Systems", 2016) remembers: it has a weight for each
input of the encoding, so that it is a curve per feature, and one for each cell of the pairs that are crossed. A cell is
a coarse bin of the one feature and one of the other.

Shapes: N rows, F features, P pairs, K bins of a feature in a pair.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from workbench.models import keras_inputs
from workbench.models.encoding import Encoding
from workbench.models.ends import INPUT
from workbench.models.keras_inputs import Encode

NO_EDGE = np.float32(3e38)  # above all values


class Cells(keras.layers.Layer):
    """[N, F] raw features to [N, P]: which cell of each pair a row lies in, counted over all pairs."""

    def __init__(self, encoding: Encoding, pairs_P2: np.ndarray, bins: int) -> None:
        super().__init__(name="cells", trainable=False)
        self.places = pairs_P2.reshape(-1)
        self.edges = np.stack([coarse_edges(encoding, place, bins) for place in self.places])
        self.bins, self.start = bins, np.arange(len(pairs_P2), dtype=np.int32) * bins**2

    def call(self, x_NF: tf.Tensor) -> tf.Tensor:
        """The cells."""
        above = tf.gather(x_NF, self.places, axis=1)[:, :, None] >= self.edges
        bins_NP2 = tf.reshape(tf.reduce_sum(tf.cast(above, tf.int32), axis=2), (-1, len(self.start), 2))
        return bins_NP2[:, :, 0] * self.bins + bins_NP2[:, :, 1] + self.start


def coarse_edges(encoding: Encoding, place: int, bins: int) -> np.ndarray:
    """[K - 1] some of the feature's edges in the encoding, evenly among them; a feature of few values has fewer."""
    low = encoding.low[encoding.feature == place]
    chosen = np.unique(low[np.linspace(0, len(low), bins + 1)[1:-1].astype(int)]) if len(low) else low
    return np.append(chosen, np.full(bins - 1 - len(chosen), NO_EDGE)).astype(np.float32)


class Network:
    """`model`: from [N, F] raw features to [N, 1] log-odds; `pairs_P2`: places of the features that are crossed."""

    def __init__(
        self, encoding: Encoding, hidden: Sequence[int], dropout: float, seed: int, pairs_P2: np.ndarray, bins: int
    ) -> None:
        keras.utils.set_random_seed(seed)
        self.encoding, self.pairs_P2, self.bins = encoding, pairs_P2, bins
        inputs = keras.Input((len(encoding.mean),), name=INPUT, dtype="float32")
        encoded = Encode(encoding)(inputs)
        self.deep = [keras.layers.Dense(units, activation="relu") for units in hidden]
        self.drop, self.last = keras.layers.Dropout(dropout), keras.layers.Dense(1)
        self.wide = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.cells = Cells(encoding, pairs_P2, bins) if len(pairs_P2) else None
        self.crossed = keras.layers.Embedding(max(1, len(pairs_P2)) * bins**2, 1, embeddings_initializer="zeros")
        x = encoded
        for layer in self.deep:
            x = self.drop(layer(x))
        parts = [self.last(x), self.wide(encoded)]
        if self.cells:
            parts.append(keras.ops.sum(self.crossed(self.cells(inputs)), axis=1))
        self.model = keras.Model(inputs, keras.layers.Add()(parts))

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs of each row: see `Encoding.seen`; then its cells."""
        cells = [np.asarray(self.cells(x_NF))] if self.cells else []
        return *self.encoding.seen(x_NF), *cells

    def looked_up(self, seen: Sequence[tf.Tensor], training: bool) -> tf.Tensor:
        """The same log-odds [N] from the places of the values instead of all their codes; see `encoding.py`."""
        first, curves, rest = self.deep[0], seen[:3], self.deep[1:]
        x = first.activation(keras_inputs.looked_up(first.kernel, first.bias, self.encoding.first, curves))
        for layer in rest:
            x = layer(self.drop(x, training=training))
        wide = keras_inputs.looked_up(self.wide.kernel, tf.zeros(1), self.encoding.first, curves)
        crossed = tf.reduce_sum(self.crossed(seen[3]), axis=1) if self.cells else 0.0
        return (self.last(self.drop(x, training=training)) + wide + crossed)[:, 0]

    def to_bytes(self) -> bytes:
        """Encoding, pairs and weights as plain arrays."""
        more = {
            "pairs": self.pairs_P2,
            "bins": np.array(self.bins),
            "hidden": np.array([one.units for one in self.deep]),
        }
        return keras_inputs.to_bytes(self.model, self.encoding, **more)


def from_bytes(content: bytes) -> Network:
    """The network, ready to score."""
    encoding, weights, stored = keras_inputs.from_bytes(content)
    hidden, bins = stored["hidden"].tolist(), int(stored["bins"])
    network = Network(encoding, hidden, 0.0, seed=0, pairs_P2=stored["pairs"], bins=bins)
    network.model.set_weights(weights)
    return network


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by TensorFlow itself: what the ONNX graph is compared with."""
    return np.asarray(from_bytes(content).model(x_NF.astype(np.float32), training=False))[:, 0]


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return keras_inputs.to_onnx(from_bytes(content).model, features)
