"""Boosted trees on several workers: each holds its shard, histograms are summed between them."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import xgboost
from ray.train.collective import broadcast_from_rank_zero

from workbench.families import XGBoostConfig
from workbench.models import xgboost as model_file
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off

SCORE_EVERY = 10  # rounds; a single round changes little


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and scaling."""
    hyper: XGBoostConfig = config["hyper"]
    with xgboost_group():
        return work_off(loop, model_file.to_onnx, config["fits"], hyper.rounds, config)


@contextlib.contextmanager
def xgboost_group() -> Iterator[None]:
    """XGBoost's communicator, its tracker in the first worker; none for a single worker."""
    if len(all_of_us := workers()) == 1:
        yield
        return
    told = broadcast_from_rank_zero(_track(all_of_us) if rank() == 0 else None)
    with xgboost.collective.CommunicatorContext(**told, dmlc_task_id=f"{rank():08}"):  # sorted as text
        yield


def _track(all_of_us: list[str]) -> dict[str, str | int]:
    tracker = xgboost.RabitTracker(len(all_of_us), all_of_us[0].rsplit(":", 1)[0], sortby="task")
    tracker.start()
    threading.Thread(target=tracker.wait_for, daemon=True).start()  # `worker_args` wants someone to wait
    return dict(tracker.worker_args())


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """Trees for `steps` rounds, scored and saved every ten of them."""
    hyper = config["hyper"]
    data = xgboost.QuantileDMatrix(shard.x_NF, shard.y_N, max_bin=hyper.max_bin, nthread=config["threads"])
    booster = _booster(hyper, fit, config, data, start.state["booster"] if start else None)
    fitted, first = (start.fitted, start.step) if start else (Fitted(), 0)
    for done in range(first, steps, SCORE_EVERY):
        upto = min(done + SCORE_EVERY, steps)
        for number in range(done, upto):
            booster.update(data, number)
        _score(booster, data, scored, (done, upto), fit, fitted)
        report(upto, fitted, lambda booster=booster: {"booster": model_file.to_bytes(booster)})
        if hyper.by_chance and upto < steps:
            booster.load_config(booster.save_config())
    fitted.model = model_file.to_bytes(booster)
    return fitted


def _booster(
    hyper: XGBoostConfig, fit: Fit, config: dict[str, Any], data: xgboost.DMatrix, content: bytes | None
) -> xgboost.Booster:
    """A booster that goes on from `content`, or begins.

    It keeps the margins of its training rows, so that a round and its loss cost the same however many trees there are.
    A booster's first round draws one number more than the others: where rows or features are sampled, each ten rounds
    begin anew, so that those after a restart are the same. To load its own configuration is enough for that, and leaves
    the margins.
    """
    begun = None if content is None else bytearray(content)
    return xgboost.Booster(_parameters(hyper, fit.seed, config), [data], model_file=begun)


def _score(
    booster: xgboost.Booster,
    data: xgboost.DMatrix,
    scored: Rows | None,
    rounds: tuple[int, int],
    fit: Fit,
    fitted: Fitted,
) -> None:
    """Add how the fit stands; all workers have a part in the loss, and the first one alone has scored rows."""
    before, upto = rounds
    fitted.steps.append(upto)
    loss = float(booster.eval(data).rpartition(":")[2]) if fit.selects else 0.0
    if scored is None:
        return
    gained_N = booster.inplace_predict(scored.x_NF, iteration_range=rounds, predict_type="margin")
    fitted.judge(scored, gained_N + fitted.logits_SN[-1] if before else gained_N)  # base_score .5 adds nothing
    fitted.train_loss.append(loss)


def _parameters(hyper: XGBoostConfig, seed: int, config: dict[str, Any]) -> dict[str, Any]:
    directions = hyper.directions(config["names"]) if hyper.rising or hyper.falling else []
    return {
        "objective": "binary:logistic",
        # estimated since 2.0, and then average precision falls from .690 to .675 on rare frauds
        "base_score": 0.5,
        "tree_method": "hist",
        "max_bin": hyper.max_bin,
        "learning_rate": hyper.learning_rate,
        "max_depth": hyper.max_depth,
        "min_child_weight": hyper.min_child_weight,
        "subsample": hyper.subsample,
        "colsample_bytree": hyper.colsample_bytree,
        "reg_lambda": hyper.reg_lambda,
        "scale_pos_weight": hyper.positive_weight,
        **({"monotone_constraints": tuple(directions)} if directions else {}),
        "seed": seed,
        "seed_per_iteration": True,  # what a round samples depends on its number alone, also after a restart
        "eval_metric": "logloss",
        "nthread": config["threads"],
        "device": "cuda" if config["gpu"] else "cpu",
    }
