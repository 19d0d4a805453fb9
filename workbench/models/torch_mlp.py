"""A multilayer perceptron in PyTorch: built, stored, and exported as an ONNX graph of log-odds.

Columns that name a category can have embeddings (Guo, Berkhahn: "Entity Embeddings of Categorical
Variables", 2016); all others pass through the input encoding.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models import torch_inputs
from workbench.models.encoding import Encoding
from workbench.models.torch_inputs import Category, Encode, looked_up


class Network(nn.Module):
    """[N, F] raw features to [N] log-odds. `embedded`: place, known values and width of columns with embeddings."""

    def __init__(
        self,
        encoding: Encoding,
        hidden: Sequence[int],
        dropout: float,
        embedded: Mapping[int, tuple[np.ndarray, int]] | None = None,
    ) -> None:
        super().__init__()
        embedded = embedded or {}
        self.encode = Encode(encoding)
        plain = [one for one in range(len(encoding.mean) + len(embedded)) if one not in embedded]
        self.register_buffer("plain", torch.tensor(plain, dtype=torch.int64))
        self.register_buffer("embedded", torch.tensor(list(embedded), dtype=torch.int64))
        self.categories = nn.ModuleList(Category(*one) for one in embedded.values())
        layers: list[nn.Module] = []
        width = encoding.width + sum(units for _, units in embedded.values())
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.body = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, x_NF: Tensor) -> Tensor:
        """The log-odds."""
        categories = [one(x_NF[:, place]) for place, one in zip(self.embedded.tolist(), self.categories, strict=True)]
        plain_NF = x_NF.index_select(1, self.plain) if categories else x_NF
        return self.body(torch.cat([self.encode(plain_NF), *categories], dim=1)).squeeze(1)

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs of each row: see `Encoding.seen`; then the rows of its categories, [N, K]."""
        places = zip(self.embedded.tolist(), self.categories, strict=True)
        rows = [one.vocabulary.rows(x_NF[:, place]) for place, one in places]
        rows_NK = np.stack(rows, axis=1) if rows else np.zeros((len(x_NF), 0), np.int64)
        return *self.encode.constants.seen(x_NF[:, self.plain.cpu().numpy()]), rows_NK

    def looked_up(self, logs_NF: Tensor, code_NF: Tensor, value_NF: Tensor, rows_NK: Tensor) -> Tensor:
        """The same log-odds from the places of the values instead of all their codes; see `encoding.py`."""
        layer = self.body[0]
        encoded = self.encode.mean.numel() + self.encode.low.numel()
        curves_HI, categories_HD = layer.weight.split([encoded, layer.in_features - encoded], dim=1)
        hidden_NH = looked_up(curves_HI, layer.bias, self.encode, (logs_NF, code_NF, value_NF))
        if self.categories:
            rows = [one.rows(rows_NK[:, place]) for place, one in enumerate(self.categories)]
            hidden_NH = hidden_NH + torch.cat(rows, dim=1) @ categories_HD.t()
        return self.body[1:](hidden_NH).squeeze(1)


def to_bytes(network: Network) -> bytes:
    """The network's tensors; the shapes of its layers can be read from them."""
    return torch_inputs.to_bytes(network.state_dict())


def from_bytes(content: bytes) -> Network:
    """The network, ready to score (no dropout); tensors only are read, never code."""
    state = torch_inputs.tensors(content)
    weights = [value for name, value in state.items() if name.startswith("body.") and name.endswith("weight")]
    embedded = {
        int(place): (state[f"categories.{one}.values"].numpy(), state[f"categories.{one}.rows.weight"].shape[1])
        for one, place in enumerate(state["embedded"])
    }
    encoding = torch_inputs.encoding_in(state, "encode")
    network = Network(encoding, [len(one) for one in weights[:-1]], dropout=0.0, embedded=embedded)
    network.load_state_dict(state)
    return network.eval()


def logits(content: bytes, x_NF: np.ndarray) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    with torch.no_grad():
        return from_bytes(content)(torch.from_numpy(x_NF.astype(np.float32))).numpy()


def to_onnx(content: bytes, features: int) -> bytes:
    """The graph from `features` [N, F] to `logit` [N]."""
    return torch_inputs.to_onnx(from_bytes(content), features)
