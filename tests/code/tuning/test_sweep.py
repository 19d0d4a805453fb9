"""Real sweeps on few rows: what is kept is what was scored, and what was finished is not fitted again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.code.tuning import samples
from workbench.config import ScalingConfig
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.training import run as training
from workbench.tuning import alone, sweep, trial
from workbench.tuning.records import Records, best, best_of_each

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.usefixtures("ray_session")
def test_a_trial_keeps_the_model_of_its_best_step_and_its_checkpoint_scores_the_same(tmp_path: Path) -> None:
    shared = samples.shared(samples.config(tmp_path))
    seen: list[tuple[int, float]] = []
    hyper = shared.cfg.train.xgboost
    plan = trial.plan(shared.cfg, {"family": "xgboost"}, shared.folds)
    fits = alone.fit("xgboost", hyper, plan, shared.rows, lambda now: seen.append((now.step, now.best.mean)) is None)
    means = np.mean([one.average_precision for one in fits.values()], axis=0)
    assert [step for step, _ in seen] == [10, 20, 30, 40, 50, 60]
    assert [mean for _, mean in seen] == np.maximum.accumulate(means).tolist(), "the mean of the folds so far"
    assert alone.rescored("xgboost", hyper, fits, shared.rows) == means.max()


@pytest.mark.usefixtures("ray_session")
def test_a_trial_that_has_had_enough_ends(tmp_path: Path) -> None:
    shared = samples.shared(samples.config(tmp_path))
    plan = trial.plan(shared.cfg, {"family": "lightgbm"}, shared.folds)
    fits = alone.fit("lightgbm", shared.cfg.train.lightgbm, plan, shared.rows, lambda now: now.step < 30)
    assert [one.steps for one in fits.values()] == [[10, 20, 30]] * 2


@pytest.mark.usefixtures("ray_session")
def test_a_sweep_tries_every_family_keeps_every_trial_and_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = samples.config(tmp_path, families=["xgboost", "lightgbm"], trials=4)
    shared, space = samples.shared(cfg), samples.space(cfg)
    done = sweep.run(cfg, space, shared)
    assert [one.status for one in done.records] == ["finished"] * 4
    assert [one.family for one in done.records[:2]] == ["xgboost", "lightgbm"]
    assert done.records[0].values["train.xgboost.learning_rate"] == cfg.train.xgboost.learning_rate
    for family, one in best_of_each(done.records).items():
        fits = shared.records.fits(one, [fit.name for fit in trial.plan(cfg, one.values, shared.folds)])
        assert (
            alone.rescored(family, getattr(cfg.train, family), fits, shared.rows) == one.scores["average_precision"]
        ), "a gap of exactly 0"
        assert one.scores["average_precision"] == np.mean(one.folds)
    monkeypatch.setattr(sweep, "_tune", lambda *_: pytest.fail("everything is there already"))
    assert sweep.run(cfg, space, shared) == done


@pytest.mark.usefixtures("ray_session")
def test_a_sweep_of_which_every_trial_fails_says_why(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, trials=1)
    shared = samples.shared(cfg)
    broken = {name: rows for name, rows in shared.rows.items() if name != "select-1-scored"}
    with pytest.raises(EnvironmentFault, match=r"No trial of 1 was finished: .*select-1-scored"):
        sweep.run(cfg, samples.space(cfg), trial.Shared(cfg, "all", shared.folds, broken, shared.records, time.time()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # PyTorch's, of an encoding out of Ray
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("family", ["xgboost", "lightgbm", "random_forest", "torch_mlp"])
def test_a_trial_gives_the_models_of_a_worker_group_of_one(tmp_path: Path, family: str) -> None:
    cfg = samples.config(tmp_path, families=[family])
    shared, hyper = samples.shared(cfg), getattr(cfg.train, family)
    plan = trial.plan(cfg, {"family": family}, shared.folds)
    fits = alone.fit(family, hyper, plan, shared.rows, lambda _: True)
    one = ScalingConfig(name="one", workers=1, cpus_per_worker=0.5)
    group = training.train(family, shared.rows, shared.folds, cfg.train, one, shared.records.store, "group")
    for fit in plan:
        mine, theirs = fits[fit.name], group.fits[fit.fold, fit.seed]
        assert mine.average_precision == theirs.average_precision
        np.testing.assert_array_equal(mine.logits_at(group.steps), theirs.logits_at(group.steps))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_bad_trial_is_stopped_by_the_scheduler_and_cannot_win(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, trials=8, scheduler="asha", grace_percent=10, reduction=2, searcher="random")
    cfg.tune.space["train"]["xgboost"]["max_depth"] = [1, 4]
    cfg.train.xgboost.rounds = 300
    cfg.tune.patience = None
    found = sweep.run(cfg, samples.space(cfg), samples.shared(cfg)).records
    assert {one.status for one in found} == {"finished", "stopped"}
    assert (winner := best(found)) is not None
    assert winner.status == "finished"


@pytest.mark.slow
def test_a_driver_that_is_killed_keeps_its_finished_trials_and_goes_on_to_the_last(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("killed.py")), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    records = Records.of(Store(str(tmp_path / "store")), "sweep")
    with (tmp_path / "first.log").open("w") as log:
        driver = subprocess.Popen(words, env=environment, cwd=ROOT, stderr=log, start_new_session=True)
        until = time.monotonic() + 300
        while len(records.all()) < 2 and time.monotonic() < until:
            assert driver.poll() is None, (tmp_path / "first.log").read_text()[-2000:]
            time.sleep(0.1)
        os.killpg(driver.pid, signal.SIGKILL)  # the driver, and the Ray that it started
        driver.wait()
    before = {one.name: one for one in records.all()}
    assert 2 <= len(before) < 6, "it was killed half way"
    again = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    after = records.all()
    assert len(after) == 6
    assert {one.name: one for one in after[: len(before)]} == before, "bit for bit, their times too"
    assert f"{len(before)} trials are there already" in again.stderr
    assert again.stderr.count("  trial ") == 6 - len(before)
