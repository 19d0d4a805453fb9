"""A small causal transformer over the last transactions in PyTorch; what it shares with others is `sequences.py`."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from workbench.models import sequences, torch_inputs
from workbench.models.sequences import Network, Shape


class Block(nn.Module):
    """A layer with the norms first: [N, T, H] to [N, T, H]; who sees whom is a mask [N, 1, T, T]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, width = shape.heads, shape.width
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, x_NTH: Tensor, sees_N1TT: Tensor) -> Tensor:
        """Attention, then the same small network at every step, both added to what was there."""
        steps, width = x_NTH.shape[1:]
        parts = self.project(self.before(x_NTH)).reshape(-1, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=sees_N1TT)
        x_NTH = x_NTH + self.drop(self.merge(mixed.transpose(1, 2).reshape(-1, steps, width)))
        return x_NTH + self.drop(self.feed(self.between(x_NTH)))


class Transformer(nn.Module):
    """[N, T, H] tokens to [N, H]: what a causal transformer says of the last step."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.width, steps = shape.width, shape.steps
        self.place = nn.Parameter(torch.randn(steps, shape.width) * 0.02)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.register_buffer("earlier", torch.ones(steps, steps, dtype=torch.bool).tril())
        self.register_buffer("itself", torch.eye(steps, dtype=torch.bool))

    def states(self, token_NTH: Tensor, there_NT: Tensor) -> Tensor:
        """[N, T, H] what is said of each step: it sees itself, and the earlier ones that are there."""
        sees_NTT = self.earlier & there_NT[:, None] | self.itself
        x_NTH = token_NTH + self.place
        for block in self.blocks:
            x_NTH = block(x_NTH, sees_NTT[:, None])
        return self.norm(x_NTH)

    def forward(self, token_NTH: Tensor, there_NT: Tensor) -> Tensor:
        """What is said of the last step."""
        return self.states(token_NTH, there_NT)[:, -1]


def to_bytes(network: Network) -> bytes:
    """The network's tensors."""
    return torch_inputs.to_bytes(network.state_dict())


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    return sequences.logits(content, x_NF, Transformer)


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return torch_inputs.to_onnx(sequences.from_bytes(content, Transformer), features)
