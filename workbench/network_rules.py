"""What is wrong with the hyperparameters of networks beyond their types and limits: each fault with its remedy."""

from collections.abc import Iterator, Sequence

from workbench.config import TrainConfig
from workbench.models import steps
from workbench.models.inputs import names_of
from workbench.networks import PRECISIONS

SEQUENCES = ("lstm", "lstm_attention", "transformer")
TORCH = ("torch_mlp", *SEQUENCES)
NETWORKS = (*TORCH, "keras_mlp", "keras_wide_deep")


def faults(train: TrainConfig) -> Iterator[str]:
    """What can be said without knowing the features."""
    for family in NETWORKS:
        if not (hidden := getattr(train, family).hidden) or min(hidden) < 1:
            yield f"train.{family}.hidden={hidden} must name the units of at least one layer, each at least 1."
    for family in TORCH:
        if (precision := getattr(train, family).precision) not in PRECISIONS:
            yield f"train.{family}.precision={precision} is unknown. Use one of: {', '.join(PRECISIONS)}."
    heads, width = train.transformer.heads, train.transformer.width
    if heads < 1 or width % heads:
        yield f"train.transformer.heads={heads} do not share train.transformer.width={width}. Use a divisor of it."
    if len(set(embedded := train.torch_mlp.embeddings)) < len(embedded):
        yield f"train.torch_mlp.embeddings={embedded} must name each feature once."
    for pair in train.keras_wide_deep.crosses:
        if len(set(pair)) != 2:
            yield f"train.keras_wide_deep.crosses has {pair}: each must name two features."


def learning_faults(train: TrainConfig, names: Sequence[str]) -> Iterator[str]:
    """What the families that are trained ask of the features."""
    if wanted := [family for family in SEQUENCES if family in train.families]:
        yield from (f"train.families names {', '.join(wanted)}, and {fault}" for fault in steps.faults(names))
    if "torch_mlp" in train.families:
        yield from _unknown("train.torch_mlp.embeddings", train.torch_mlp.embeddings, names_of(train.torch_mlp, names))
        if not set(names_of(train.torch_mlp, names)) - set(train.torch_mlp.embeddings):
            yield "train.torch_mlp.embeddings name every feature. Leave one out: a network needs a number besides."
    if "keras_wide_deep" in train.families:
        crossed = [name for pair in train.keras_wide_deep.crosses for name in pair]
        yield from _unknown("train.keras_wide_deep.crosses", crossed, names_of(train.keras_wide_deep, names))


def _unknown(key: str, named: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    if unknown := [name for name in dict.fromkeys(named) if name not in names]:
        yield f"{key} name {', '.join(unknown)}, which features.views do not have. Use some of: {', '.join(names)}."
