"""A mixture, a calibration and a threshold are refused where families, folds or columns do not give them."""

import pytest

from workbench.errors import ConfigError
from workloads import door


def test_costs_need_a_price_and_an_amount() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["register.threshold.rule=cost"])
    assert str(caught.value).count("\n  - register.threshold.rule=cost needs register.threshold.") == 2
    door.composed(
        ["register.threshold.rule=cost", "register.threshold.cost_false_positive_minor=500",
         "register.threshold.amount=amount_minor"]
    )  # fmt: skip


def test_a_fold_of_its_own_for_calibration_needs_a_second_one() -> None:
    own = ["train.calibration.method=platt", "train.calibration.rows=last_fold"]
    with pytest.raises(ConfigError, match=r"last_fold needs a second fold .* Use rows=crossed"):
        door.composed(own)
    door.composed(["experiment=published", *own])
    door.composed(["experiment=credit", "data.split.folds=5", *own])


def test_all_tenths_are_too_many_for_six_members() -> None:
    six = "train.families=[xgboost,lightgbm,random_forest,logistic_regression,torch_mlp,keras_mlp]"
    with pytest.raises(ConfigError, match=r"tries every mixture, too many of 6 families. Use greedy or stacked"):
        door.composed([six, "train.ensemble.method=grid"])
    door.composed([six, "train.ensemble.method=greedy"])
