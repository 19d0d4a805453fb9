"""A direction is one of a feature that there is."""

import pytest

from workbench.errors import ConfigError
from workbench.validation import check_learning
from workloads import door


def test_a_direction_of_no_feature_is_refused_with_the_names_that_are_near() -> None:
    cfg = door.composed(["train.xgboost.rising=[terminal_risc_7d,amount_minor]", "train.lightgbm.falling=[anything]"])
    with pytest.raises(ConfigError) as caught:
        check_learning(cfg)
    assert "train.xgboost.rising=terminal_risc_7d names no feature. Use one of: terminal_risk_7d," in str(caught.value)
    assert str(caught.value).count("\n  - ") == 1, "a family that is not trained is not asked"
    with pytest.raises(ConfigError, match=r"rising and \.falling both name amount_minor"):
        door.composed(["train.xgboost.rising=[amount_minor]", "train.xgboost.falling=[amount_minor]"])
