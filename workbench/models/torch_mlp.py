"""A multilayer perceptron in PyTorch: built, stored, and exported as an ONNX graph of log-odds."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from workbench.models.encoding import Encoding
from workbench.models.graph import INPUT, OUTPUT

FILE = "torch_mlp.pt"


class Encode(nn.Module):
    """The input layer: [N, F] raw features to [N, F + C]; see `encoding.py`."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        for name, values in encoding.arrays().items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x_NF: Tensor) -> Tensor:
        """Standardised logs, clipped at eight deviations, beside the piecewise-linear codes."""
        logs = (torch.sign(x_NF) * torch.log1p(torch.abs(x_NF)) - self.mean) * self.scale
        codes = (x_NF.index_select(1, self.feature) - self.low) * self.slope
        return torch.cat([logs.clamp(-8, 8), codes.clamp(0, 1)], dim=1)


class Network(nn.Module):
    """[N, F] raw features to [N] log-odds."""

    def __init__(self, encoding: Encoding, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.encode = Encode(encoding)
        layers: list[nn.Module] = []
        width = encoding.width
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.body = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x_NF: Tensor) -> Tensor:
        """The log-odds."""
        return self.body(self.encode(x_NF)).squeeze(1)


def to_bytes(network: Network) -> bytes:
    """The network's tensors; the shapes of its layers can be read from them."""
    sink = io.BytesIO()
    torch.save(network.state_dict(), sink)
    return sink.getvalue()


def from_bytes(content: bytes) -> Network:
    """The network, ready to score (no dropout); tensors only are read, never code."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    encoding = Encoding(
        **{name: state[f"encode.{name}"].numpy() for name in ("mean", "scale", "feature", "low", "slope")}
    )
    weights = [value for name, value in state.items() if name.startswith("body.") and name.endswith("weight")]
    network = Network(encoding, [len(one) for one in weights[:-1]], dropout=0.0)
    network.load_state_dict(state)
    return network.eval()


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    with torch.no_grad():
        return from_bytes(content)(torch.from_numpy(x_NF.astype(np.float32))).numpy()


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    network = from_bytes(content)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(2, features),),
            path,
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=20,
            external_data=False,
        )
        return bytes(onnx.load(path).SerializeToString())
