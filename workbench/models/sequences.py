"""Networks over the last transactions of an entity: what `lstm.py`, `lstm_attention.py` and `transformer.py` share.

A network reads the row's own features through a layer straight into the head, as a perceptron does. Beside it stand the
T steps: the same features as they were at earlier events, and how long ago each was (`steps.py`). Each step becomes a
token, a body makes one state of all tokens, and the head reads that too. A step that is missing is nothing: its token
is zero, and attention does not look at it.

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
from workbench.models.torch_inputs import Encode, looked_up


@dataclass(frozen=True)
class Shape:
    """How large a network is."""

    hidden: tuple[int, ...]  # units of the row's own layer, then of the head's layers
    width: int  # units of a token
    layers: int  # of the body
    heads: int  # of its attention, where it has one
    steps: int  # T
    dropout: float = 0.0


MakeBody = Callable[[Shape], Any]  # a module of `width`: from tokens [N, T, H] that are there [N, T] to [N, width]


class Network(nn.Module):
    """[N, F] raw columns to [N] log-odds."""

    def __init__(
        self, own: Encoding, step: Encoding, places: tuple[np.ndarray, np.ndarray], make_body: MakeBody, shape: Shape
    ) -> None:
        super().__init__()
        self.register_buffer("shape", torch.tensor([shape.layers, shape.heads]))
        self.register_buffer("own_places", torch.from_numpy(places[0]))
        self.register_buffer("places_TS", torch.from_numpy(places[1]))
        self.encode_own, self.encode_step = Encode(own), Encode(step)
        self.own, self.token = nn.Linear(own.width, shape.hidden[0]), nn.Linear(step.width, shape.width)
        self.body = make_body(shape)
        self.drop = nn.Dropout(shape.dropout)
        units, head = shape.hidden[0] + int(self.body.width), list[nn.Module]()
        for more in shape.hidden[1:]:
            head += [nn.Linear(units, more), nn.ReLU(), nn.Dropout(shape.dropout)]
            units = more
        self.head = nn.Sequential(*head, nn.Linear(units, 1))

    def forward(self, x_NF: Tensor) -> Tensor:
        """The log-odds."""
        steps_NTS = pad(x_NF, (0, 1))[:, self.places_TS]
        token_NTH = self.token(self.encode_step(steps_NTS.flatten(0, 1))).reshape(*steps_NTS.shape[:2], -1)
        own_NH = self.own(self.encode_own(x_NF.index_select(1, self.own_places)))
        return self._judged(own_NH, token_NTH, steps_NTS[:, :, -1] >= 0)

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs: `Encoding.seen` of each row's features and of its steps; which steps are there."""
        steps_NTS = steps_of(x_NF, self.places_TS.cpu().numpy())
        of_steps = self.encode_step.constants.seen(steps_NTS.reshape(-1, steps_NTS.shape[2]))
        shaped = (one.reshape(*steps_NTS.shape[:2], one.shape[1]) for one in of_steps)
        own = self.encode_own.constants.seen(x_NF[:, self.own_places.cpu().numpy()])
        return *own, *shaped, steps_NTS[:, :, -1] >= 0

    def looked_up(self, *seen: Tensor) -> Tensor:
        """The same log-odds from the places of the values instead of all their codes; see `encoding.py`."""
        logs_NF, code_NF, value_NF, logs_NTS, code_NTS, value_NTS, there_NT = seen
        own_NH = looked_up(self.own.weight, self.own.bias, self.encode_own, (logs_NF, code_NF, value_NF))
        flat = (logs_NTS.flatten(0, 1), code_NTS.flatten(0, 1), value_NTS.flatten(0, 1))
        token_NH = looked_up(self.token.weight, self.token.bias, self.encode_step, flat)
        return self._judged(own_NH, token_NH.reshape(*there_NT.shape, -1), there_NT)

    def _judged(self, own_NH: Tensor, token_NTH: Tensor, there_NT: Tensor) -> Tensor:
        state_NH = self.body(relu(token_NTH) * there_NT[:, :, None], there_NT)
        return self.head(torch.cat([relu(own_NH), self.drop(state_NH)], dim=1)).squeeze(1)


def from_bytes(content: bytes, make_body: MakeBody) -> Network:
    """The network, ready to score (no dropout); tensors only are read, never code."""
    state = torch_inputs.tensors(content)
    own, step = (torch_inputs.encoding_in(state, name) for name in ("encode_own", "encode_step"))
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
