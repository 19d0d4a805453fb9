"""The hyperparameters of the networks that are more than a multilayer perceptron, and of those in PyTorch."""

from dataclasses import dataclass, field
from typing import ClassVar

from workbench.families import NetworkConfig

PRECISIONS = ("float32", "bf16")


@dataclass
class TorchConfig(NetworkConfig):
    """How PyTorch trains a network."""

    framework: ClassVar[str | None] = "torch"

    precision: str = "float32"  # float32 | bf16: what training's forward pass computes in; bf16 pays on GPUs only
    accumulate: int = 1  # parts that a worker's batch is worked off in, where it does not fit into memory whole
    compile: bool = False  # the step is compiled once by torch.compile (half a minute): pays where epochs are minutes


@dataclass
class TorchMLPConfig(TorchConfig):
    """Hyperparameters of a multilayer perceptron in PyTorch."""

    embeddings: list[str] = field(default_factory=list)  # features that name a category, not a quantity
    embedding_units: int = 8  # learned numbers of each of their values; values that training hardly saw share them

    @property
    def embedded(self) -> tuple[str, ...]:
        """The features that have embeddings."""
        return tuple(self.embeddings)


@dataclass
class WideDeepConfig(NetworkConfig):
    """Hyperparameters of a wide & deep network in Keras: a perceptron beside a linear model with crosses."""

    crosses: list[list[str]] = field(default_factory=list)  # pairs of features whose joint cells have a weight each
    cells: int = 8  # bins of each of the two


@dataclass
class SequenceConfig(TorchConfig):
    """Hyperparameters of an LSTM over the entity's last events, without or with attention."""

    sequences: ClassVar[bool] = True

    width: int = 64  # units of a step's token and of the state
    layers: int = 1  # layers of the body


@dataclass
class TransformerConfig(SequenceConfig):
    """Hyperparameters of a small causal transformer over the entity's last events."""

    heads: int = 4  # of its attention; they share the width
