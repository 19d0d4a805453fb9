"""An LSTM with attention over the last transactions in PyTorch: body, file and graph; the rest is `sequences.py`."""

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models import sequences, torch_inputs
from workbench.models.lstm import recurrence
from workbench.models.sequences import Network, Shape

NOT_THERE = -1e4  # before a softmax; also a bfloat16


class Attentive(nn.Module):
    """[N, T, H] tokens to [N, 2H]: an LSTM's last state, and the mixture of all its states that this one asks for.

    The attention is Luong's general one ("Effective Approaches to Attention-based Neural Machine Translation", 2015).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.width = 2 * shape.width
        self.lstm = recurrence(shape)
        self.ask = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, token_NTH: Tensor, there_NT: Tensor) -> Tensor:
        """The last state beside the mixture; missing steps have no part in it."""
        state_NTH = self.lstm(token_NTH)[0]
        last_NH = state_NTH[:, -1]
        match_NT = (state_NTH * self.ask(last_NH)[:, None]).sum(2) / state_NTH.shape[2] ** 0.5
        weight_NT = match_NT.masked_fill(~there_NT, NOT_THERE).softmax(1)
        return torch.cat([last_NH, (state_NTH * weight_NT[:, :, None]).sum(1)], dim=1)


def to_bytes(network: Network) -> bytes:
    """The network's tensors."""
    return torch_inputs.to_bytes(network.state_dict())


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    return sequences.logits(content, x_NF, Attentive)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return torch_inputs.to_onnx(sequences.from_bytes(content, Attentive), features)
