"""What the Keras networks make small: the log loss or the focal loss, positives weighed."""

from typing import Any

import tensorflow as tf


def loss_N(logit_N: tf.Tensor, y_N: tf.Tensor, hyper: Any) -> tf.Tensor:
    """The loss of each row; `hyper` says `loss`, `focal_gamma` and `positive_weight`; see `torch_losses.py`."""
    right_N = tf.where(y_N > 0.5, logit_N, -logit_N)
    log_N = tf.nn.softplus(-right_N)
    if hyper.loss == "focal":
        log_N *= tf.exp(-hyper.focal_gamma * tf.nn.softplus(right_N))
    return tf.where(y_N > 0.5, hyper.positive_weight * log_N, log_N)
