"""A logistic regression by scikit-learn, on one worker that holds all rows: the honest baseline."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from workbench.families import LogisticRegressionConfig
from workbench.models import logistic_regression as model_file
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.workers import work_off


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits and hyperparameters."""
    return work_off(loop, model_file.to_onnx, config["fits"], 1, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, _fit: Fit, config: Any, _start: Partial | None, _report: Report
) -> Fitted:
    """The optimum on standardised features: found in one step, so there is nothing to resume."""
    hyper: LogisticRegressionConfig = config["hyper"]
    x_NF = shard.x_NF.astype(np.float64)
    mean_F, scale_F = x_NF.mean(axis=0), np.maximum(x_NF.std(axis=0), 1e-9)
    model = LogisticRegression(C=1 / hyper.strength, max_iter=1000).fit((x_NF - mean_F) / scale_F, shard.y_N)
    fitted = Fitted(steps=[steps])
    fitted.model = model_file.to_bytes(mean_F, scale_F, model.coef_[0], float(model.intercept_[0]))
    if scored is not None:
        fitted.judge(scored, model_file.logits(fitted.model, scored.x_NF))
    return fitted
