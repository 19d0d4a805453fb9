"""A random forest by scikit-learn, on one worker that holds all rows: an honest baseline."""

from typing import Any

from sklearn.ensemble import RandomForestClassifier

from workbench.families import RandomForestConfig
from workbench.models import random_forest as model_file
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.workers import work_off


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits and hyperparameters."""
    return work_off(loop, model_file.to_onnx, config["fits"], config["hyper"].trees, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, _start: Partial | None, _report: Report
) -> Fitted:
    """A forest of `steps` trees: it is whole or not there, so there is nothing to resume."""
    hyper: RandomForestConfig = config["hyper"]
    forest = RandomForestClassifier(
        steps,
        max_depth=hyper.max_depth,
        min_samples_leaf=hyper.min_samples_leaf,
        max_features=hyper.max_features,
        class_weight={0: 1.0, 1: hyper.positive_weight},
        random_state=fit.seed,
        n_jobs=config["threads"],
    ).fit(shard.x_NF, shard.y_N)
    forest.set_params(n_jobs=None)  # threads that score add up the trees in the order in which they end
    fitted = Fitted(steps=[steps], model=model_file.to_bytes(forest))
    if scored is not None:
        fitted.judge(scored, model_file.log_odds(forest, scored.x_NF))
    return fitted
