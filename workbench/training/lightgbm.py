"""LightGBM's boosted trees on several workers: each holds its shard, histograms are summed between them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np

from workbench.families import LightGBMConfig
from workbench.models import lightgbm as model_file
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
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
    """Trees for `steps` rounds, scored and saved every ten of them."""
    data = lightgbm.Dataset(shard.x_NF, shard.y_N, params=_parameters(fit, 0, config))
    booster = lightgbm.Booster(model_str=start.state["booster"].decode()) if start else None
    fitted, first = (start.fitted, start.step) if start else (Fitted(), 0)
    for done in range(first, steps, SCORE_EVERY):
        upto, parameters = min(done + SCORE_EVERY, steps), _parameters(fit, done, config)
        if done == first:
            booster = lightgbm.train(parameters, data, upto - done, init_model=booster, keep_training_booster=True)
        else:
            _boost(booster, parameters, upto - done)
        _score(booster, scored, (done, upto), fitted)
        report(upto, fitted, lambda booster=booster: {"booster": model_file.to_bytes(booster)})
    assert booster is not None
    fitted.model = model_file.to_bytes(booster)
    return fitted


def _boost(booster: Any, parameters: dict[str, Any], rounds: int) -> None:
    """More trees. What they draw begins from a seed of their own, so that it is the same after a restart.

    LightGBM takes up another seed of its bags only where another parameter of bagging changes too.
    """
    booster.reset_parameter({"bagging_freq": 2})
    booster.reset_parameter(parameters)
    for _ in range(rounds):
        booster.update()


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


def _score(booster: Any, scored: Rows | None, rounds: tuple[int, int], fitted: Fitted) -> None:
    """Add how the fit stands: the newest trees' part of the scored rows, and the loss by the booster's own scores."""
    before, upto = rounds
    fitted.steps.append(upto)
    if scored is None:
        return
    gained_N = booster.predict(scored.x_NF, raw_score=True, start_iteration=before, num_iteration=upto - before)
    fitted.judge(scored, gained_N + fitted.logits_SN[-1] if before else gained_N)
    fitted.train_loss.append(float(booster.eval_train()[0][2]))


def _parameters(fit: Fit, done: int, config: Any) -> dict[str, Any]:
    hyper: LightGBMConfig = config["hyper"]
    directions = hyper.directions(config["names"]) if hyper.rising or hyper.falling else []
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
        "scale_pos_weight": hyper.positive_weight,
        **({"monotone_constraints": directions} if directions else {}),
        "seed": fit.seed + done,
        "data_random_seed": fit.seed,  # the bins are those of the first round, also after a restart
        "metric": "binary_logloss",
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": config["threads"],
        "verbosity": -1,
        **config["network"],
    }
