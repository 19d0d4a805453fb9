"""An autoencoder in PyTorch: built, stored, and exported as an ONNX graph of how much a row stands out."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models import torch_inputs

FARTHEST = 1000.0  # deviations; what lies beyond stands out enough, and its square is still a float32
LEAST = 1e-9  # error of a row that is drawn again as it was


class Network(nn.Module):
    """[N, F] raw features to [N] the logarithm of the mean squared error of a row in deviations of its features."""

    def __init__(self, mean_F: Tensor, scale_F: Tensor, hidden: Sequence[int], code: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean_F)
        self.register_buffer("scale", scale_F)
        widths = [len(mean_F), *hidden, code]
        self.encoder, self.decoder = _layers(widths), _layers(widths[::-1])

    def standardised(self, x_NF: Tensor) -> Tensor:
        """Deviations from the mean of the training rows."""
        return ((x_NF - self.mean) * self.scale).clamp(-FARTHEST, FARTHEST)

    def errors(self, z_NF: Tensor) -> Tensor:
        """The mean squared error [N] of standardised rows drawn again from their codes."""
        return (self.decoder(self.encoder(z_NF)) - z_NF).square().mean(dim=1)

    def forward(self, x_NF: Tensor) -> Tensor:
        """The anomaly score."""
        return torch.log(self.errors(self.standardised(x_NF)).clamp(min=LEAST))


def _layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths with rectifiers between them."""
    layers: list[nn.Module] = []
    for taken, given in itertools.pairwise(widths):
        layers += [nn.Linear(taken, given), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def to_bytes(network: Network) -> bytes:
    """The network's tensors; the shapes of its layers can be read from them."""
    return torch_inputs.to_bytes(network.state_dict())


def from_bytes(content: bytes) -> Network:
    """The network, ready to score; tensors only are read, never code."""
    state = torch_inputs.tensors(content)
    weights = [one for name, one in state.items() if name.startswith("encoder.") and name.endswith("weight")]
    *hidden, code = [len(one) for one in weights]
    network = Network(state["mean"], state["scale"], hidden, code)
    network.load_state_dict(state)
    return network.eval()


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Anomaly scores by PyTorch itself: what the ONNX graph is compared with."""
    with torch.no_grad():
        return from_bytes(content)(torch.from_numpy(x_NF.astype(np.float32))).numpy()


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return torch_inputs.to_onnx(from_bytes(content), features)
