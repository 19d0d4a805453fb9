"""An isolation forest by scikit-learn, on one worker that holds all rows; it never sees their labels."""

from typing import Any

from sklearn.ensemble import IsolationForest

from workbench.models import isolation_forest as model_file
from workbench.training.anomaly import learnt_from
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.workers import work_off
from workbench.unsupervised import IsolationForestConfig


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits and hyperparameters."""
    return work_off(loop, model_file.to_onnx, config["fits"], config["hyper"].trees, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, _start: Partial | None, _report: Report
) -> Fitted:
    """A forest of `steps` trees: it is whole or not there, so there is nothing to resume."""
    hyper: IsolationForestConfig = config["hyper"]
    x_NF = learnt_from(shard, hyper.rows, fit).x_NF
    forest = IsolationForest(
        n_estimators=steps,
        max_samples=min(hyper.samples, len(x_NF)),
        max_features=hyper.max_features,
        random_state=fit.seed,
        n_jobs=config["threads"],
    ).fit(x_NF)
    forest.set_params(n_jobs=None)  # where it is scored has threads of its own
    fitted = Fitted(steps=[steps], model=model_file.to_bytes(forest))
    if scored is not None:
        fitted.judge(scored, model_file.log_odds(forest, scored.x_NF))
    return fitted
