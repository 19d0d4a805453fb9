"""The hyperparameters of the model families.

A family is a class here, a file under `training/` (how its workers fit it) and one under `models/` (how it is stored
and becomes a graph for scoring).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class FamilyConfig:
    """What the driver asks of any family."""

    alone: ClassVar[bool] = False  # one worker holds all rows: the library does not spread a fit
    encoded: ClassVar[bool] = False  # its inputs pass through `models/encoding.py`
    supervised: ClassVar[bool] = True  # it learns from the label; the others are in `unsupervised.py`
    framework: ClassVar[str | None] = None  # torch | tensorflow: no process may load both
    sequences: ClassVar[bool] = False  # it also sees what earlier events of the entity were like

    @property
    def by_chance(self) -> bool:
        """Whether another seed gives another fit."""
        return True

    @property
    def embedded(self) -> tuple[str, ...]:
        """The features whose values are names: each value has numbers that are learned."""
        return ()


@dataclass
class SupervisedConfig(FamilyConfig):
    """What every family that learns from the label can be told of rare labels and of rows that stand out."""

    positive_weight: float = 1.0  # how much a positive counts beside a negative; the log-odds are corrected back
    negative_share: float = 1.0  # share of the training block's negatives that is used; corrected back likewise
    anomaly_feature: str | None = None  # autoencoder | isolation_forest: its score of the same rows is one more input


@dataclass
class TreesConfig(SupervisedConfig):
    """What boosted trees can be told besides."""

    rising: list[str] = field(default_factory=list)  # features that the score never falls with
    falling: list[str] = field(default_factory=list)  # features that the score never rises with

    def directions(self, names: Sequence[str]) -> list[int]:
        """1, -1 or 0 for each of the inputs."""
        return [(name in self.rising) - (name in self.falling) for name in names]


@dataclass
class XGBoostConfig(TreesConfig):
    """Hyperparameters of the boosted trees (histogram method, logistic loss)."""

    rounds: int = 200  # upper bound; the best on validation is used
    learning_rate: float = 0.1  # shrinkage of each tree
    max_depth: int = 3  # depth of each tree
    max_bin: int = 4096  # XGBoost's own 256 blurs the amount's edge: average precision .63 instead of .69
    min_child_weight: float = 1.0  # smallest sum of hessians in a leaf
    subsample: float = 1.0  # share of the rows that each tree sees
    colsample_bytree: float = 1.0  # share of the features that each tree sees
    reg_lambda: float = 1.0  # L2 penalty on leaf values

    @property
    def by_chance(self) -> bool:
        """Rows or features are sampled."""
        return self.subsample < 1 or self.colsample_bytree < 1


@dataclass
class LightGBMConfig(TreesConfig):
    """Hyperparameters of LightGBM's boosted trees (leaf-wise growth, logistic loss)."""

    rounds: int = 200  # upper bound; the best on validation is used
    learning_rate: float = 0.1  # shrinkage of each tree
    num_leaves: int = 8  # leaves of each tree
    max_bin: int = 4095  # bins of each feature's histogram
    min_data_in_leaf: int = 20  # rows in a leaf, at the least
    bagging_fraction: float = 1.0  # share of the rows that each tree sees
    feature_fraction: float = 1.0  # share of the features that each tree sees
    lambda_l2: float = 1.0  # L2 penalty on leaf values

    @property
    def by_chance(self) -> bool:
        """Rows or features are sampled."""
        return self.bagging_fraction < 1 or self.feature_fraction < 1


@dataclass
class RandomForestConfig(SupervisedConfig):
    """Hyperparameters of scikit-learn's random forest."""

    alone: ClassVar[bool] = True

    trees: int = 100  # trees of the forest
    max_depth: int = 20  # depth of each tree
    min_samples_leaf: int = 1  # rows in a leaf, at the least
    max_features: float = 0.25  # share of the features that each split chooses from


@dataclass
class LogisticRegressionConfig(SupervisedConfig):
    """Hyperparameters of a logistic regression on standardised features."""

    alone: ClassVar[bool] = True

    strength: float = 1.0  # L2 penalty on the weights (1 / C in scikit-learn's words)

    @property
    def by_chance(self) -> bool:
        """The optimum is one."""
        return False


@dataclass
class NetworkConfig(SupervisedConfig):
    """Hyperparameters of a multilayer perceptron."""

    encoded: ClassVar[bool] = True
    framework: ClassVar[str | None] = "tensorflow"

    epochs: int = 14  # upper bound; the best on validation is used
    hidden: list[int] = field(default_factory=lambda: [64, 32])  # units of each hidden layer
    bins: int = 32  # quantile bins of the piecewise-linear input encoding; 0 for none
    leaves: int = 16  # leaves of the tree per feature whose cuts become edges of that encoding too; 0 for none
    dropout: float = 0.1  # share of hidden units left out in training
    learning_rate: float = 0.004  # step size at the start; it falls to 0 along half a cosine
    weight_decay: float = 0.0  # decoupled L2 penalty (AdamW)
    batch_size: int = 512  # of all workers together
    loss: str = "log"  # log | focal: what is easy counts less (corrected back, so that scores stay probabilities)
    focal_gamma: float = 2.0  # focal: how much less; 0 is the log loss
