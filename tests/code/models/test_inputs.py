"""A family sees its own columns."""

import pytest

from workbench.errors import ConfigError
from workbench.families import NetworkConfig, XGBoostConfig
from workbench.models import inputs
from workbench.networks import SequenceConfig, TransformerConfig

NAMES = ["amount", "amount_1_back", "elapsed_1_back", "came_back", "amount_12_back"]


@pytest.mark.parametrize("hyper", [XGBoostConfig(), NetworkConfig()])
def test_most_families_do_not_see_earlier_events(hyper: NetworkConfig) -> None:
    assert inputs.names_of(hyper, NAMES) == ["amount", "came_back"]
    assert inputs.places_of(hyper, NAMES) == [0, 3]


@pytest.mark.parametrize("hyper", [SequenceConfig(), TransformerConfig()])
def test_sequence_families_see_everything(hyper: SequenceConfig) -> None:
    assert inputs.places_of(hyper, NAMES) == [0, 1, 2, 3, 4]


def test_earlier_events_alone_are_nothing_to_most_families() -> None:
    with pytest.raises(ConfigError, match=r"features\.views hold earlier events only"):
        inputs.names_of(XGBoostConfig(), NAMES[1:3])
