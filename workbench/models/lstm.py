"""An LSTM over the last transactions in PyTorch: its body, its file and its graph; the rest is `sequences.py`."""

import numpy as np
from torch import Tensor, nn

from workbench.models import sequences, torch_inputs
from workbench.models.sequences import Network, Shape


def recurrence(shape: Shape) -> nn.LSTM:
    """An LSTM over tokens: [N, T, H] to [N, T, H]."""
    dropout = shape.dropout if shape.layers > 1 else 0.0  # it is between layers
    return nn.LSTM(shape.width, shape.width, shape.layers, batch_first=True, dropout=dropout)


class Recurrent(nn.Module):
    """[N, T, H] tokens to [N, H]: what an LSTM remembers at the end."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.width = shape.width
        self.lstm = recurrence(shape)

    def forward(self, token_NTH: Tensor, _: Tensor) -> Tensor:
        """The last state; a missing step is the oldest there can be and has a token of zeros."""
        return self.lstm(token_NTH)[0][:, -1]


def to_bytes(network: Network) -> bytes:
    """The network's tensors."""
    return torch_inputs.to_bytes(network.state_dict())


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    return sequences.logits(content, x_NF, Recurrent)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return torch_inputs.to_onnx(sequences.from_bytes(content, Recurrent), features)
