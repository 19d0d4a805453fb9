"""What is planned before a worker starts."""

from tests.code.training.samples import CFG, TWO
from workbench.training import plan


def test_checkpoints_of_another_device_are_another_plans() -> None:
    config = {"fits": [], "hyper": CFG.xgboost, "anomalies": {}}
    plans = [plan.digest_of(config | {"gpu": gpu}, {}, TWO) for gpu in (False, True)]
    assert plans[0] != plans[1]
