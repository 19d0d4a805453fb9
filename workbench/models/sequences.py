"""Networks over the last transactions of an entity: what `lstm.py`, `lstm_attention.py` and `transformer.py` share.

A network reads the row's own features through a layer straight into the head, as a perceptron does. Beside it stand the
T steps: the same features as they were at earlier events, and how long ago each was (`steps.py`), as standardised logs.
Each step becomes a token, a body makes one state of all tokens, and the head reads that too. A step that is missing is
nothing: its token is zero, and attention does not look at it.

Shapes: N rows, F columns, T steps from the oldest to the row itself, S inputs of a step, H units of a token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from workbench.models import torch_inputs
from workbench.models.encoding import Encoding
from workbench.models.steps import steps_of
from workbench.models.torch_inputs import Encode, looked_up, standardised


@dataclass(frozen=True)
class Shape:
    """How large a network is."""

    hidden: tuple[int, ...]  # units of the row's own layer, then of the head's layers
    width: int  # units of a token
    layers: int  # of the body
    heads: int  # of its attention, where it has one
    steps: int  # T
    dropout: float = 0.0


Standard = tuple[np.ndarray, np.ndarray]  # [S] mean and 1 / deviation of the logs of a step's inputs
MakeBody = Callable[[Shape], Any]  # a module of `width`: from tokens [N, T, H] that are there [N, T] to [N, width]


class Network(nn.Module):
    """[N, F] raw columns to [N] log-odds."""

    def __init__(
        self, own: Encoding, step: Standard, places: tuple[np.ndarray, np.ndarray], make_body: MakeBody, shape: Shape
    ) -> None:
        super().__init__()
        self.register_buffer("shape", torch.tensor([shape.layers, shape.heads]))
        for name, values in zip(("own_places", "places_TS", "mean_S", "scale_S"), (*places, *step), strict=True):
            self.register_buffer(name, torch.from_numpy(values))
        self.encode = Encode(own)
        self.own, self.token = nn.Linear(own.width, shape.hidden[0]), nn.Linear(len(step[0]), shape.width)
        self.body = make_body(shape)
        self.drop = nn.Dropout(shape.dropout)
        units, head = shape.hidden[0] + int(self.body.width), list[nn.Module]()
        for more in shape.hidden[1:]:
            head += [nn.Linear(units, more), nn.ReLU(), nn.Dropout(shape.dropout)]
            units = more
        self.head = nn.Sequential(*head, nn.Linear(units, 1))

    def forward(self, x_NF: Tensor) -> Tensor:
        """The log-odds."""
        own_NH = self.own(self.encode(x_NF.index_select(1, self.own_places)))
        steps_NTS = pad(x_NF, (0, 1))[:, self.places_TS]
        return self._judged(own_NH, standardised(steps_NTS, self.mean_S, self.scale_S), steps_NTS[:, :, -1] >= 0)

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs: `Encoding.seen` of the rows' own features; their steps; which of those are there."""
        steps_NTS = torch.from_numpy(steps_of(x_NF, self.places_TS.cpu().numpy()))
        logs_NTS = standardised(steps_NTS, self.mean_S.cpu(), self.scale_S.cpu()).numpy()
        own = self.encode.constants.seen(x_NF[:, self.own_places.cpu().numpy()])
        return *own, logs_NTS, steps_NTS[:, :, -1].numpy() >= 0

    def looked_up(self, *seen: Tensor) -> Tensor:
        """The same log-odds from the places of the values instead of all their codes; see `encoding.py`."""
        *own, logs_NTS, there_NT = seen
        own_NH = looked_up(self.own.weight, self.own.bias, self.encode, (own[0], own[1], own[2]))
        return self._judged(own_NH, logs_NTS, there_NT)

    def _judged(self, own_NH: Tensor, logs_NTS: Tensor, there_NT: Tensor) -> Tensor:
        state_NH = self.body(relu(self.token(logs_NTS)) * there_NT[:, :, None], there_NT)
        return self.head(torch.cat([relu(own_NH), self.drop(state_NH)], dim=1)).squeeze(1)


def from_bytes(content: bytes, make_body: MakeBody) -> Network:
    """The network, ready to score (no dropout); tensors only are read, never code."""
    state = torch_inputs.tensors(content)
    own, step = torch_inputs.encoding_in(state, "encode"), (state["mean_S"].numpy(), state["scale_S"].numpy())
    places = (state["own_places"].numpy(), state["places_TS"].numpy())
    layers, heads = state["shape"].tolist()
    shape = Shape(_hidden(state), len(state["token.weight"]), layers, heads, steps=len(places[1]))
    network = Network(own, step, places, make_body, shape)
    network.load_state_dict(state)
    return network.eval()


def logits(content: bytes, x_NF: np.ndarray, make_body: MakeBody) -> np.ndarray:
    """Log-odds by PyTorch itself: what the ONNX graph is compared with."""
    with torch.no_grad():
        return from_bytes(content, make_body)(torch.from_numpy(x_NF.astype(np.float32))).numpy()


def _hidden(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    head = [len(value) for name, value in state.items() if name.startswith("head.") and name.endswith("weight")]
    return (len(state["own.weight"]), *head[:-1])
