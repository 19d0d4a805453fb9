"""The hyperparameters of the families that never see the label: what is rare is suspicious.

Their log-odds are a score that rises with how much a row stands out, no probability of a positive.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from workbench.families import FamilyConfig

ROWS = ("all", "good")


@dataclass
class UnsupervisedConfig(FamilyConfig):
    """What all of them can be told."""

    supervised: ClassVar[bool] = False

    rows: str = "all"  # all | good: every training row, its label unused, or those known as negative


@dataclass
class AutoencoderConfig(UnsupervisedConfig):
    """Hyperparameters of an autoencoder in PyTorch: a row that it cannot draw again from a short code stands out."""

    framework: ClassVar[str | None] = "torch"

    epochs: int = 10  # upper bound; the best on validation is used
    hidden: list[int] = field(default_factory=lambda: [64])  # units of each hidden layer before the code
    code: int = 4  # numbers that a row is squeezed into
    learning_rate: float = 0.002  # step size at the start; it falls to 0 along half a cosine
    weight_decay: float = 0.0  # decoupled L2 penalty (AdamW)
    batch_size: int = 512  # of all workers together


@dataclass
class IsolationForestConfig(UnsupervisedConfig):
    """Hyperparameters of scikit-learn's isolation forest: a row that few random cuts set apart stands out."""

    alone: ClassVar[bool] = True

    trees: int = 100  # trees of the forest
    samples: int = 4096  # rows that each tree is grown from
    max_features: float = 1.0  # share of the features that each tree cuts
