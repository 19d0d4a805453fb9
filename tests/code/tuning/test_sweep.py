"""Real sweeps on few rows: what is kept is what was scored, and what was finished is not fitted again."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.code.tuning import samples
from workbench.config import ScalingConfig
from workbench.data.store import Store
from workbench.errors import Diverged, EnvironmentFault
from workbench.families import XGBoostConfig
from workbench.training import run
from workbench.tuning import alone, population, room, sweep, trial
from workbench.tuning.records import Records, best, best_of_each
from workbench.tuning.space import applied

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
    begun, over = dict[str, str](), list[str]()
    monkeypatch.setattr(sweep.Ends, "begun", lambda _, trial, family: begun.update({trial: family}))
    monkeypatch.setattr(sweep.Ends, "over", lambda _, trial: over.append(trial))
    done = sweep.run(cfg, space, shared)
    assert sorted(begun) == sorted(over), "the reserve counts those that are under way"
    assert sorted(begun.values()) == sorted(one.family for one in done.records)
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


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # PyTorch's, of an encoding out of Ray
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("family", ["torch_mlp", pytest.param("keras_mlp", marks=pytest.mark.slow)])
def test_a_network_is_fitted_in_a_process_that_is_tunes_and_not_trains(tmp_path: Path, family: str) -> None:
    cfg = samples.config(tmp_path, families=[family], trials=2)
    hyper = getattr(cfg.train, family)
    hyper.epochs, hyper.hidden, hyper.batch_size = 2, [8], 64
    cfg.tune.space = {"train": {family: {"dropout": {"low": 0.0, "high": 0.4}}}}
    done = sweep.run(cfg, samples.space(cfg), samples.shared(cfg)).records
    assert [(one.status, one.why) for one in done] == [("finished", "")] * 2


@pytest.mark.slow
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
    group = run.train(family, shared.rows, shared.folds, cfg.train, one, shared.records.store, "group")
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
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_killed_keeps_its_finished_trials_and_goes_on_to_the_last(tmp_path: Path, how: int) -> None:
    words = [sys.executable, str(Path(__file__).with_name("killed.py")), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    records = Records.of(Store(str(tmp_path / "store")), "sweep")
    with (tmp_path / "first.log").open("w") as log:
        driver = subprocess.Popen(words, env=environment, cwd=ROOT, stderr=log, start_new_session=True)
        until = time.monotonic() + 300
        while len(records.all()) < 2 and time.monotonic() < until:
            assert driver.poll() is None, (tmp_path / "first.log").read_text()[-2000:]
            time.sleep(0.1)
        os.killpg(driver.pid, how)  # the driver, and the Ray that it started
        assert driver.wait(60) != 0, "a sweep that was interrupted is not through"
    before = {one.name: one for one in records.all()}
    assert 2 <= len(before) < 6, "it was killed half way"
    again = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    after = records.all()
    assert len(after) == 6
    assert {one.name: one for one in after[: len(before)]} == before, "bit for bit, their times too"
    assert f"{len(before)} trials are there already" in again.stderr
    assert again.stderr.count("  trial ") == 6 - len(before)


@pytest.mark.parametrize(
    ("families", "may"),
    [
        (["lstm", "keras_mlp"], False),
        (["autoencoder", "keras_wide_deep"], False),
        (["lstm", "torch_mlp", "xgboost"], True),
        (["keras_mlp", "keras_wide_deep"], True),
    ],
)
def test_a_process_that_fits_trial_after_trial_never_loads_both_deep_learning_frameworks(
    tmp_path: Path, families: list[str], may: bool
) -> None:
    assert sweep.reusable(samples.config(tmp_path, families=families)) == may


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ({"cpus_per_trial": 64}, "need 64 CPUs, and the cluster has 4."),
        ({"gpus_per_trial": 64.0}, "need 64 GPUs, and the cluster has "),
        ({"workers_per_trial": 16, "patience": None}, "need 16 CPUs, and the cluster has 4."),
    ],
)
def test_a_sweep_of_which_no_trial_has_room_is_refused_and_does_not_wait(
    tmp_path: Path, tune: dict[str, Any], said: str
) -> None:
    cfg = samples.config(tmp_path, **tune)
    with pytest.raises(EnvironmentFault, match=said) as caught:
        sweep.run(cfg, samples.space(cfg), samples.shared(cfg))
    key, value = next(iter(tune.items()))
    assert f"tune.{key}={value:g}" in str(caught.value)


@pytest.mark.usefixtures("ray_session")
def test_trials_by_workers_run_at_once_where_their_workers_have_room(tmp_path: Path) -> None:
    def at_once(**tune: Any) -> int | None:
        return room.at_once(samples.config(tmp_path, **{"concurrent": None, **tune}).tune)

    assert at_once() is None, "Tune counts the CPUs of trials itself"
    assert at_once(workers_per_trial=2) == 2
    assert at_once(workers_per_trial=2, concurrent=1) == 1
    assert at_once(workers_per_trial=3, cpus_per_trial=0.5) == 2


@pytest.mark.usefixtures("ray_session")
def test_a_trial_that_the_machine_failed_is_tried_again_and_one_that_cannot_be_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, values = samples.shared(samples.config(tmp_path)), {"family": "xgboost"}

    def failing(error: Exception) -> Any:
        def fitted(*_: Any) -> Any:
            raise error

        return fitted

    monkeypatch.setattr(population.Start, "given", population.Start)  # nothing to go on from
    monkeypatch.setattr(trial, "_fitted", failing(OSError("connection reset")))
    with pytest.raises(OSError, match="connection reset"):
        trial.run(values, shared)
    assert shared.records.all() == []
    monkeypatch.setattr(trial, "_fitted", failing(Diverged("The loss is nan.")))
    with pytest.raises(EnvironmentFault, match="The loss is nan"):
        trial.run(values, shared)
    assert [one.status for one in shared.records.all()] == ["failed"]


@pytest.mark.usefixtures("ray_session")
def test_a_longer_sweep_goes_on_and_a_shorter_one_has_its_own_trials_alone(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, trials=2)
    shared, space = samples.shared(cfg), samples.space(cfg)
    short = sweep.run(cfg, space, shared)
    cfg.tune.trials = 3
    longer = sweep.run(cfg, space, shared)
    assert longer.records[:2] == short.records
    assert len(longer.records) == 3
    cfg.tune.trials = 2
    assert sweep.run(cfg, space, shared).records == short.records


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("family", ["xgboost", "torch_mlp"])
def test_trials_by_groups_of_workers_keep_the_model_of_the_best_step(tmp_path: Path, family: str) -> None:
    told = {"trials": 2, "workers_per_trial": 2, "cpus_per_trial": 0.5, "patience": None}
    cfg = samples.config(tmp_path, families=[family], **told)
    cfg.train.xgboost = XGBoostConfig(rounds=300, max_bin=64, learning_rate=0.3, positive_weight=20.0)
    cfg.train.torch_mlp = dataclasses.replace(cfg.train.torch_mlp, epochs=12, learning_rate=0.05, loss="focal")
    cfg.scaling.workers, cfg.scaling.min_workers = 4, 4
    shared, space = samples.shared(cfg), samples.space(cfg)
    done = sweep.run(cfg, space, shared).records
    assert [one.status for one in done] == ["finished"] * 2, [one.why for one in done]
    last = {"xgboost": 300, "torch_mlp": 12}[family]
    assert min(one.steps for one in done) < last, "the best step is not the last one"
    winner = best(done)
    assert winner is not None
    fits = shared.records.fits(winner, [one.name for one in trial.plan(cfg, winner.values, shared.folds)])
    again = alone.rescored(family, getattr(applied(cfg, winner.values).train, family), fits, shared.rows)
    assert again == winner.scores["average_precision"], "a gap of exactly 0"
    for one in fits.values():
        place = one.steps.index(winner.steps)
        assert np.mean([one.average_precision[place] for one in fits.values()]) == pytest.approx(again, abs=1e-6)
