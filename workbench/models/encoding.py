"""How a network sees its inputs: each feature standardised, and beside it a piecewise-linear code of its quantiles.

The code (Gorishniy, Rubachev, Babenko: "On Embeddings for Numerical Features in Tabular Deep Learning", 2022) gives
every bin of a feature an input that grows from 0 to 1 across the bin, so that a small network can bend anywhere. Some
edges are quantiles of the distinct values, not of the rows: rare risks sit in a tail that row quantiles hardly cut. The
others are where a small decision tree on the feature alone sees the label change, both neighbours of each cut, so that
the network can also jump there, as trees do: mean average precision on the four validation weeks of the payments .700
with these, .685 without (16 leaves, 128 bins, one seed). All numbers come from the training rows and become constants
of the network.

Below its bin a code is 0 and above it 1, so a linear layer on the codes is one curve with corners per feature, which
can be looked up: `places` says where. Training looks up (four times as fast), scoring multiplies: the same numbers.

Shapes: N rows, F features, C codes (bins of all features together).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAF_ROWS = 20  # a cut that fewer rows speak for is noise
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Encoding:
    """The constants of the input layer."""

    mean: Floats  # [F] of the signed log of the inputs
    scale: Floats  # [F] 1 / standard deviation of the same
    feature: NDArray[np.int64]  # [C] the feature that a code belongs to
    low: Floats  # [C] where its bin begins
    slope: Floats  # [C] 1 / width of its bin

    @classmethod
    def of(cls, x_NF: Floats, y_N: Floats, bins: int, leaves: int) -> "Encoding":
        """The encoding of these training rows: `bins` quantiles and a tree of `leaves` per feature, 0 for none."""
        logs = signed_log(x_NF.astype(np.float64))
        edges = [_edges(x_NF[:, column], y_N, bins, leaves) for column in range(x_NF.shape[1])]
        return cls(
            mean=logs.mean(axis=0).astype(np.float32),
            scale=(1 / np.maximum(logs.std(axis=0), 1e-6)).astype(np.float32),
            feature=np.repeat(np.arange(len(edges)), [len(one) - 1 for one in edges]),
            low=np.concatenate([one[:-1] for one in edges]).astype(np.float32),
            slope=np.concatenate([1 / np.diff(one) for one in edges]).astype(np.float32),
        )

    def take(self, features: Sequence[int]) -> "Encoding":
        """The encoding of some of the features, in this order."""
        bounds, chosen = np.append(self.first, len(self.low)), list(features)
        kept = [np.arange(bounds[one], bounds[one + 1]) for one in chosen]
        of_code, lengths = np.concatenate(kept), [len(one) for one in kept]
        feature = np.repeat(np.arange(len(kept)), lengths)
        return Encoding(self.mean[chosen], self.scale[chosen], feature, self.low[of_code], self.slope[of_code])

    @property
    def first(self) -> NDArray[np.int64]:
        """[F] the first code of each feature."""
        return np.searchsorted(self.feature, np.arange(len(self.mean)))

    def logs(self, x_NF: Floats) -> Floats:
        """[N, F] standardised signed logs, clipped at eight deviations."""
        return np.clip((signed_log(x_NF) - self.mean) * self.scale, -8, 8)

    def places(self, x_NF: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Where each value lies: the code of its bin [N, F], and the value of that code [N, F]."""
        code_NF = np.empty((len(x_NF), len(self.mean) if len(self.low) else 0), np.int64)
        bounds = [*self.first, len(self.low)]
        for column, (first, end) in enumerate(itertools.pairwise(bounds) if len(self.low) else ()):
            bin_N = np.searchsorted(self.low[first:end], x_NF[:, column], side="right") - 1
            code_NF[:, column] = first + np.maximum(bin_N, 0)
        return code_NF, np.clip((x_NF[:, : code_NF.shape[1]] - self.low[code_NF]) * self.slope[code_NF], 0, 1)

    def seen(self, x_NF: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
        """What the lookup needs of each row: its logs, and where its values lie."""
        return self.logs(x_NF), *self.places(x_NF)

    @property
    def width(self) -> int:
        """How many numbers a row has after encoding: F + C."""
        return len(self.mean) + len(self.low)

    def arrays(self) -> dict[str, NDArray]:
        """The constants by name, to be stored in a model's file."""
        return {name: getattr(self, name) for name in ("mean", "scale", "feature", "low", "slope")}


def signed_log(x_NF: NDArray[Any]) -> NDArray[Any]:
    """log(1 + |x|) with the sign of x: amounts, counts and balances are spread over orders of magnitude."""
    return np.sign(x_NF) * np.log1p(np.abs(x_NF))


def _edges(x_N: Floats, y_N: Floats, bins: int, leaves: int) -> NDArray[np.float64]:
    """The borders of a feature's bins; a single one, and so no bin, where none are wanted."""
    values = np.unique(x_N).astype(np.float64)
    if bins == 0 and leaves < 2:
        return values[:1]
    quantiles = np.quantile(values, np.linspace(0, 1, max(bins, 1) + 1))
    cuts = _cuts(x_N, y_N, values, leaves) if leaves > 1 else values[:0]
    edges = np.unique(np.concatenate([quantiles, cuts]).astype(np.float32)).astype(np.float64)
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])


def _cuts(x_N: Floats, y_N: Floats, values: NDArray[np.float64], leaves: int) -> NDArray[np.float64]:
    """The values on both sides of each cut of a tree that tells the label from this feature alone."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=LEAF_ROWS, random_state=0)
    fitted = tree.fit(x_N[:, None], y_N).tree_
    above = np.searchsorted(values, fitted.threshold[fitted.children_left >= 0])
    return np.concatenate([values[above - 1], values[np.minimum(above, len(values) - 1)]])
