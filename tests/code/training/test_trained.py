"""What the members of a mixture are: log-odds at the chosen step."""

import numpy as np

from workbench.training.fits import Fitted
from workbench.training.trained import Trained


def test_log_odds_of_a_fold_are_the_mean_of_the_asked_seeds_at_the_chosen_step() -> None:
    def fit(*levels: float) -> Fitted:
        return Fitted(steps=[10, 20], logits_SN=[np.full(2, level, np.float32) for level in levels])

    one = Trained("xgboost", 20, {("a", 0): fit(1, 2), ("a", 1): fit(3, 4), ("b", 0): fit(9, 9)})
    assert one.logits_N("a", [0, 1]).tolist() == [3, 3]
    assert one.logits_N("a", [0]).tolist() == [2, 2], "the model that is registered, where nothing is bagged"
    assert one.logits_N("b", [0, 1]).tolist() == [9, 9], "a family that chance does not matter to has one seed"
