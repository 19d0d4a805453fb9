"""What PyTorch's networks make small: the log loss or the focal loss, positives weighed."""

from typing import Any

from torch import Tensor, where
from torch.nn.functional import logsigmoid


def loss_N(logit_N: Tensor, y_N: Tensor, hyper: Any) -> Tensor:
    """The loss of each row; `hyper` says `loss`, `focal_gamma` and `positive_weight`.

    The focal loss (Lin and others: "Focal Loss for Dense Object Detection", 2017) is the log loss times the gamma-th
    power of the other class's probability; by its logarithm, whose slope is finite everywhere.
    """
    right_N = where(y_N > 0.5, logit_N, -logit_N)
    log_N = -logsigmoid(right_N)
    if hyper.loss == "focal":
        log_N = log_N * (hyper.focal_gamma * logsigmoid(-right_N)).exp()
    return where(y_N > 0.5, hyper.positive_weight * log_N, log_N)
