"""A multilayer perceptron in PyTorch: built, stored, and exported as an ONNX graph of log-odds."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from workbench.models.encoding import Encoding
from workbench.models.graph import INPUT, OUTPUT


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


class Lookup(nn.Module):
    """The same log-odds from the places of the values instead of all their codes; see `encoding.py`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.body = network.body
        self.inputs = network.encode.mean.numel()
        self.first = torch.searchsorted(
            network.encode.feature, torch.arange(self.inputs, device=network.encode.mean.device)
        )

    def forward(self, logs_NF: Tensor, code_NF: Tensor, value_NF: Tensor) -> Tensor:
        """The log-odds [N]; the sums of all codes below a bin are running sums of the first layer's weights."""
        layer = self.body[0]
        logs_FH, codes_CH = layer.weight.t().split([self.inputs, layer.in_features - self.inputs])
        below_CH = cumulated(codes_CH)
        hidden_NH = layer.bias - below_CH[self.first].sum(0) + logs_NF @ logs_FH
        if code_NF.shape[1]:  # an empty bag is an error
            hidden_NH = hidden_NH + embedding_bag(code_NF, below_CH, mode="sum")
            hidden_NH = hidden_NH + embedding_bag(code_NF, codes_CH, mode="sum", per_sample_weights=value_NF)
        return self.body[1:](hidden_NH).squeeze(1)


def cumulated(codes_CH: Tensor) -> Tensor:
    """[C + 1, H] the sums of all rows before each row."""
    return torch.cat([codes_CH.new_zeros(1, codes_CH.shape[1]), codes_CH.cumsum(0)])


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
