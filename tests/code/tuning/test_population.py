"""A population: a fit goes on from a checkpoint as if it had not stopped, and in other values where they changed."""

from pathlib import Path

import numpy as np
import pytest

from tests.code.tuning import samples
from workbench.errors import ConfigError
from workbench.training.fits import Fitted
from workbench.tuning import alone, population, sweep, trial
from workbench.tuning.records import best
from workbench.tuning.space import Space

pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # of an encoding out of Ray


def fitted(shared: trial.Shared, family: str, start: population.Start | None, judge: alone.Judge) -> dict[str, Fitted]:
    plan = trial.plan(shared.cfg, {"family": family}, shared.folds)
    return alone.fit(family, getattr(shared.cfg.train, family), plan, shared.rows, judge, start=start)


def stopped(shared: trial.Shared, family: str, step: int, folder: Path) -> population.Start:
    """What a trial that was stopped after a step left, read anew."""
    kept: list[population.Start] = []

    def judge(now: alone.Standing) -> bool:
        if now.step == step:
            kept.append(now.start([(0, {"family": family})]))
        return now.step < step

    fitted(shared, family, None, judge)
    folder.mkdir()
    kept[0].write(folder)
    return population.Start.read(folder)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("family", "step"), [("xgboost", 30), ("lightgbm", 30), ("torch_mlp", 2)])
def test_a_fit_that_goes_on_is_the_one_that_did_not_stop(tmp_path: Path, family: str, step: int) -> None:
    shared = samples.shared(samples.config(tmp_path))
    whole = fitted(shared, family, None, lambda _: True)
    again = fitted(shared, family, stopped(shared, family, step, tmp_path / "start"), lambda _: True)
    for name, one in whole.items():
        assert again[name].steps == one.steps
        assert again[name].average_precision == one.average_precision
        np.testing.assert_array_equal(again[name].logits_SN[-1], one.logits_SN[-1])
        assert again[name].model == one.model


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("family", "step", "change"),
    [
        ("xgboost", 30, {"learning_rate": 0.9}),
        ("lightgbm", 30, {"num_leaves": 2}),
        ("torch_mlp", 2, {"weight_decay": 9.0}),
    ],
)
def test_a_fit_that_goes_on_in_other_values_gives_another_model(
    tmp_path: Path, family: str, step: int, change: dict[str, float]
) -> None:
    shared = samples.shared(samples.config(tmp_path))
    start = stopped(shared, family, step, tmp_path / "start")
    same = fitted(shared, family, start, lambda _: True)
    start = population.Start.read(tmp_path / "start")
    for name, value in change.items():
        setattr(getattr(shared.cfg.train, family), name, value)
    other = fitted(shared, family, start, lambda _: True)
    for name, one in same.items():
        before = one.steps.index(step) + 1
        assert other[name].train_loss[:before] == one.train_loss[:before]
        assert other[name].train_loss[before:] != one.train_loss[before:]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_bad_trials_take_over_good_ones_and_the_winner_is_what_was_scored(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, trials=4, scheduler="pbt", perturb_percent=20, concurrent=2, cpus_per_trial=0.25)
    cfg.tune.space["train"]["xgboost"] = {"learning_rate": {"low": 0.0001, "high": 0.3, "log": True}}
    cfg.train.xgboost.rounds = 100
    shared, space = samples.shared(cfg), samples.space(cfg)
    done = sweep.run(cfg, space, shared)
    assert [one.status for one in done.records] == ["finished"] * 4
    taken = [one for one in done.records if one.schedule]
    assert taken, "the worst of four goes on from the best"
    for one in taken:
        steps = [step for step, _ in one.schedule]
        assert steps == sorted(set(steps))
        assert steps[-1] in range(20, 100, 10)
        assert one.schedule[-1][1] == one.values
        assert all(0.0001 <= held["train.xgboost.learning_rate"] <= 0.3 for _, held in one.schedule)
    winner = best(done.records)
    assert winner is not None
    fits = shared.records.fits(winner, [fit.name for fit in trial.plan(cfg, winner.values, shared.folds)])
    assert all(one.steps == list(range(10, 110, 10)) for one in fits.values()), "every step once"
    again = alone.rescored("xgboost", cfg.train.xgboost, fits, shared.rows)
    assert again == winner.scores["average_precision"], "a gap of exactly 0"


def test_what_cannot_be_a_population_is_told_at_once(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, families=["random_forest"], scheduler="pbt")
    with pytest.raises(ConfigError, match="fitted in rounds or epochs"):
        Space.of(cfg)
    cfg = samples.config(tmp_path, scheduler="pbt", trials=3, challenge=True, workers_per_trial=2)
    cfg.tune.space = {"train": {"xgboost": {"max_bin": [64, 128]}}}
    with pytest.raises(ConfigError) as caught:
        Space.of(cfg)
    for words in ("no key of tune.space may change", "tune.challenge", "tune.workers_per_trial=2", "tune.trials=3"):
        assert words in str(caught.value)
