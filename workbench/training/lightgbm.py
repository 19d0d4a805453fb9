"""LightGBM's boosted trees on several workers: each holds its shard, histograms are summed between them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np

from workbench.families import LightGBMConfig
from workbench.models import lightgbm as model_file
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows, log_loss
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off

SCORE_EVERY = 10  # rounds; a single round changes little


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits and hyperparameters."""
    hyper: LightGBMConfig = config["hyper"]
    with lightgbm_group() as config["network"]:
        return work_off(loop, model_file.to_onnx, config["fits"], hyper.rounds, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """Trees for `steps` rounds, ten at a time, so that a crash costs little."""
    booster = lightgbm.Booster(model_str=start.state["booster"].decode()) if start else None
    fitted, first = (start.fitted, start.step) if start else (Fitted(), 0)
    for done in range(first, steps, SCORE_EVERY):
        rounds = min(SCORE_EVERY, steps - done)
        parameters = _parameters(config["hyper"], fit.seed + done, config)
        data = lightgbm.Dataset(shard.x_NF, shard.y_N, params=parameters, free_raw_data=False)
        booster = lightgbm.train(parameters, data, rounds, init_model=booster)
        _score(booster, shard, scored, done + rounds, fitted)
        report(done + rounds, fitted, lambda booster=booster: {"booster": model_file.to_bytes(booster)})
    assert booster is not None
    fitted.model = model_file.to_bytes(booster)
    return fitted


@contextlib.contextmanager
def lightgbm_group() -> Iterator[dict[str, Any]]:
    """The parameters of a fit by all workers while they are connected; none for a single worker."""
    if len(all_of_us := workers()) == 1:
        yield {}
        return
    any_rows = lightgbm.Dataset(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
    keeper = lightgbm.Booster({"verbosity": -1}, any_rows)  # a network is a booster's, and each fit is of many
    port = int(all_of_us[rank()].rsplit(":", 1)[1])
    keeper.set_network(all_of_us, local_listen_port=port, num_machines=len(all_of_us))
    try:
        yield {"tree_learner": "data", "pre_partition": True, "num_machines": len(all_of_us)}
    finally:
        keeper.free_network()


def _score(booster: lightgbm.Booster, shard: Rows, scored: Rows | None, step: int, fitted: Fitted) -> None:
    fitted.steps.append(step)
    if scored is None:
        return
    logits = np.asarray(booster.predict(scored.x_NF, raw_score=True))
    fitted.judge(scored, logits)
    fitted.train_loss.append(log_loss(shard.y_N, np.asarray(booster.predict(shard.x_NF, raw_score=True))))


def _parameters(hyper: LightGBMConfig, seed: int, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "objective": "binary",
        "boost_from_average": False,  # ten rounds at a time would start from the average each time
        "learning_rate": hyper.learning_rate,
        "num_leaves": hyper.num_leaves,
        "max_bin": hyper.max_bin,
        "min_data_in_bin": 1,
        "min_data_in_leaf": hyper.min_data_in_leaf,
        "bagging_fraction": hyper.bagging_fraction,
        "bagging_freq": 1 if hyper.bagging_fraction < 1 else 0,
        "feature_fraction": hyper.feature_fraction,
        "lambda_l2": hyper.lambda_l2,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": config["threads"],
        "verbosity": -1,
        **config["network"],
    }
