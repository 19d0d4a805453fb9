"""What PyTorch networks begin with: the input encoding, categories as learned rows, and files of plain tensors."""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from workbench.models.encoding import Encoding
from workbench.models.ends import INPUT, OUTPUT
from workbench.models.graph import OPSET
from workbench.models.vocabulary import Vocabulary

FEW = 32  # features: from about there on the graph's multiplications take longer than its look-ups
LARGEST = float(np.finfo(np.float32).max)


class Encode(nn.Module):
    """The input layer: [N, F] raw features to [N, F + C]; see `encoding.py`."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        for name, values in encoding.arrays().items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x_NF: Tensor) -> Tensor:
        """Standardised logs, clipped at eight deviations, beside the piecewise-linear codes."""
        logs = standardised(x_NF, self.mean, self.scale)
        codes = (self._of_each_code(x_NF) - self.low) * self.slope
        return torch.cat([logs, codes.clamp(0, 1)], dim=1)

    def _of_each_code(self, x_NF: Tensor) -> Tensor:
        """[N, C] the value that each code is of.

        The graph multiplies by ones and zeros, which changes no finite value: in ONNX Runtime that is faster than to
        look up 2,000 places, by 16 us a row.
        """
        if not torch.compiler.is_exporting() or x_NF.shape[1] > FEW:
            return x_NF.index_select(1, self.feature)
        places_FC = torch.arange(x_NF.shape[1])[:, None] == self.feature
        return x_NF.clamp(-LARGEST, LARGEST) @ places_FC.to(x_NF.dtype)

    @property
    def constants(self) -> Encoding:
        """The encoding itself."""
        return Encoding(**{name: values.cpu().numpy() for name, values in self.named_buffers()})


def standardised(x_NF: Tensor, mean_F: Tensor, scale_F: Tensor) -> Tensor:
    """The signed logs of features in standard deviations, clipped at eight; see `Encoding.logs`."""
    logs_NF = torch.sign(x_NF) * torch.log1p(torch.abs(x_NF))
    return ((logs_NF - mean_F) * scale_F).clamp(-8, 8)


def looked_up(weight_HI: Tensor, bias_H: Tensor, encode: Encode, seen: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """[N, H] what a linear layer makes of `encode`'s output, from the places of the values; see `encoding.py`.

    The sums of all codes below a bin are running sums of the layer's weights.
    """
    logs_NF, code_NF, value_NF = seen
    inputs = encode.mean.numel()
    logs_FH, codes_CH = weight_HI.t().split([inputs, weight_HI.shape[1] - inputs])
    if not code_NF.shape[1]:  # an empty bag is an error
        return bias_H + logs_NF @ logs_FH
    below_CH = cumulated(codes_CH)
    first_F = torch.searchsorted(encode.feature, torch.arange(inputs, device=encode.feature.device))
    hidden_NH = bias_H - below_CH[first_F].sum(0) + logs_NF @ logs_FH
    hidden_NH = hidden_NH + embedding_bag(code_NF, below_CH, mode="sum")
    return hidden_NH + embedding_bag(code_NF, codes_CH, mode="sum", per_sample_weights=value_NF)


def cumulated(codes_CH: Tensor) -> Tensor:
    """[C + 1, H] the sums of all rows before each row."""
    return torch.cat([codes_CH.new_zeros(1, codes_CH.shape[1]), codes_CH.cumsum(0)])


class Category(nn.Module):
    """[N] values of a category or an id to [N, D] learned numbers; values that training did not see share row 0."""

    def __init__(self, values: np.ndarray, width: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.from_numpy(np.ascontiguousarray(values)))
        self.rows = nn.Embedding(len(values) + 1, width)
        with torch.no_grad():
            self.rows.weight.mul_(0.1)[0] = 0

    def forward(self, x_N: Tensor) -> Tensor:
        """The row of each value, found by halving: ONNX has no search in a sorted list."""
        if not len(self.values):
            return self.rows(torch.zeros_like(x_N, dtype=torch.int64))
        place_N = torch.zeros_like(x_N, dtype=torch.int64)
        for power in reversed(range((len(self.values) - 1).bit_length())):
            further_N = place_N + (1 << power)
            within_N = further_N.clamp(max=len(self.values) - 1)
            goes_N = (further_N == within_N) & (self.values[within_N] <= x_N)
            place_N = torch.where(goes_N, further_N, place_N)
        known_N = self.values[place_N] == x_N
        return self.rows(torch.where(known_N, place_N + 1, torch.zeros_like(place_N)))

    @property
    def vocabulary(self) -> Vocabulary:
        """The values that have a row."""
        return Vocabulary(self.values.cpu().numpy())


def to_bytes(state: Mapping[str, Tensor]) -> bytes:
    """A network's tensors; the shapes of its layers can be read from them."""
    sink = io.BytesIO()
    torch.save(dict(state), sink)
    return sink.getvalue()


def tensors(content: bytes) -> dict[str, Tensor]:
    """What `to_bytes` wrote; tensors only are read, never code."""
    return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def encoding_in(state: Mapping[str, Tensor], name: str) -> Encoding:
    """The constants of the `Encode` of that name."""
    return Encoding(**{one: state[f"{name}.{one}"].numpy() for one in ("mean", "scale", "feature", "low", "slope")})


def to_onnx(network: nn.Module, features: int) -> bytes:
    """The graph of a network from `features` [N, F] to `logit` [N]."""
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
            opset_version=OPSET,
            external_data=False,
        )
        return bytes(onnx.load(path).SerializeToString())
