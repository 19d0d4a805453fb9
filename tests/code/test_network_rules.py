"""What networks are told is checked before anything is trained, all faults at once."""

import re
from typing import Any

import pytest

from workbench.config import TrainConfig
from workbench.network_rules import faults, learning_faults
from workbench.networks import SequenceConfig, TorchMLPConfig, TransformerConfig, WideDeepConfig

OWN = ["amount", "shop"]
BACK = ["amount_1_back", "elapsed_1_back"]


def test_the_defaults_are_right() -> None:
    assert list(faults(TrainConfig())) == []


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"lstm": SequenceConfig(hidden=[])}, r"train\.lstm\.hidden=\[\] must name"),
        ({"keras_wide_deep": WideDeepConfig(hidden=[4, 0])}, r"train\.keras_wide_deep\.hidden=\[4, 0\] must name"),
        (
            {"torch_mlp": TorchMLPConfig(precision="half")},
            "torch_mlp.precision=half is unknown. Use one of: float32, bf16",
        ),
        ({"transformer": TransformerConfig(width=10, heads=4)}, "heads=4 do not share train.transformer.width=10"),
        ({"transformer": TransformerConfig(heads=0)}, "heads=0 do not share"),
        ({"torch_mlp": TorchMLPConfig(embeddings=["shop", "shop"])}, "must name each feature once"),
        ({"keras_wide_deep": WideDeepConfig(crosses=[["shop", "shop"]])}, "each must name two features"),
        ({"keras_wide_deep": WideDeepConfig(crosses=[["shop", "amount", "a"]])}, "each must name two features"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_remedy(train: dict[str, Any], said: str) -> None:
    (found,) = faults(TrainConfig(**train))
    assert re.search(said, found)


@pytest.mark.parametrize(
    ("train", "names", "said"),
    [
        ({"families": ["lstm"]}, OWN, "train.families names lstm"),
        ({"families": ["transformer"]}, [*OWN, BACK[0]], "elapsed_1_back is missing"),
        ({"torch_mlp": TorchMLPConfig(embeddings=["store"])}, OWN, "name store, which features.views do not have"),
        ({"torch_mlp": TorchMLPConfig(embeddings=["amount_1_back"])}, [*OWN, *BACK], "name amount_1_back"),
        ({"torch_mlp": TorchMLPConfig(embeddings=["shop", "amount"])}, OWN, "name every feature"),
        (
            {"families": ["keras_wide_deep"], "keras_wide_deep": WideDeepConfig(crosses=[["shop", "day"]])}, OWN,
            "crosses name day",
        ),
    ],
)  # fmt: skip
def test_features_that_a_trained_family_lacks_are_told(train: dict[str, Any], names: list[str], said: str) -> None:
    (found,) = learning_faults(TrainConfig(**train), names)
    assert said in found


def test_families_that_are_not_trained_ask_for_nothing() -> None:
    wanting = WideDeepConfig(crosses=[["shop", "day"]])
    assert list(learning_faults(TrainConfig(families=["xgboost"], keras_wide_deep=wanting), OWN)) == []
    assert list(learning_faults(TrainConfig(families=["lstm", "torch_mlp"]), [*OWN, *BACK])) == []
