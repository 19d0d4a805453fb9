"""What `tune=auto` decides is decided as the config says."""

import numpy as np
import pytest

from workbench.decisions import EnsembleConfig
from workbench.training.fits import Fitted
from workbench.tuning import auto


@pytest.mark.parametrize(
    ("told", "members"),
    [
        (EnsembleConfig(noise=None), ["xgboost", "torch_mlp"]),
        (EnsembleConfig(noise=None, draws=1), ["torch_mlp"]),
    ],
)
def test_the_members_of_a_stack_are_chosen_by_the_ensembles_own_rule(told: EnsembleConfig, members: list[str]) -> None:
    random = np.random.default_rng(0)
    label_N = (random.random(400) < 0.3).astype(float)
    logits = {one: (label_N + random.normal(0, 1, 400)).astype(np.float32) for one in ("xgboost", "torch_mlp")}
    selected = {family: {("select", 0): Fitted(logits_SN=[logit_N])} for family, logit_N in logits.items()}
    assert auto.members(selected, [label_N], list(logits), told) == members
