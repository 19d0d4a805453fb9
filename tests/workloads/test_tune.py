"""From features to a challenger: the sweep is found again, its winner is what was scored, and test rows come last."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workloads.samples import benchmark_config
from workbench.config import Config, ScalingConfig
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError, EnvironmentFault, GateRefused
from workbench.governance.keys import Keys
from workbench.models.bundle import open_bundle
from workbench.release import ledger
from workloads import evaluate, register, train, tune

SPACE = {"train": {"xgboost": {"max_depth": {"low": 2, "high": 5}}, "lightgbm": {"num_leaves": [4, 8]}}}


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two months of few customers, and two boosted families."""
    cfg = benchmark_config(tmp_path_factory.mktemp("tune") / "store", days=60, customers=150)
    cfg.data.split.select_start, cfg.data.split.train_start = "2018-04-20", "2018-05-05"
    cfg.train.xgboost.rounds, cfg.train.lightgbm.rounds, cfg.tracker.mode = 20, 20, "disabled"
    cfg.tune.families, cfg.tune.space, cfg.tune.trials, cfg.tune.concurrent = ["xgboost", "lightgbm"], SPACE, 3, 1
    return cfg


def challenging(cfg: Config) -> Config:
    return dataclasses.replace(cfg, tune=dataclasses.replace(cfg.tune, challenge=True))


def sweep_of(cfg: Config) -> Artifact:
    """The sweep that a config has made."""
    return Store(cfg.storage.root).get("sweeps", tune.key(cfg))


def swept(store: Store, gap: float) -> Artifact:
    """A sweep whose winner's checkpoint scores so much less than the winner."""
    stage = store.stage("sweeps", "made")
    record = {"name": "a", "values": {"family": "xgboost"}, "status": "finished", "scores": {"average_precision": 0.5}}
    stage.write_json("best.json", {"xgboost": {**record, "gap": gap}})
    return stage.commit({}, {})


@pytest.mark.parametrize("gap", [1e-12, -0.1, float("nan")])
def test_a_winner_that_does_not_score_the_same_again_is_not_registered(store: Store, gap: float) -> None:
    with pytest.raises(GateRefused, match=r"xgboost by .* Another model was scored than was kept"):
        tune.winners(swept(store, gap))


def test_a_winner_that_scores_exactly_the_same_again_may_be(store: Store) -> None:
    assert list(tune.winners(swept(store, 0.0))) == ["xgboost"]


def test_a_space_that_is_wrong_is_refused_before_anything_runs(cfg: Config, tmp_path: Path) -> None:
    wrong = {"train": {"xgboost": {"max_depht": [2], "rounds": {"low": 9, "high": 3}}}}
    bad = dataclasses.replace(cfg, tune=dataclasses.replace(cfg.tune, space=wrong))
    bad.storage = dataclasses.replace(cfg.storage, root=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="Did you mean") as caught:
        tune.run(bad)
    assert "low=9 is greater than high=3" in str(caught.value)
    assert not (tmp_path / "none").exists()


def changed(cfg: Config, **told: Any) -> Config:
    return dataclasses.replace(cfg, tune=dataclasses.replace(cfg.tune, **told))


def test_what_it_runs_on_names_no_other_sweep_but_what_it_searches_does(cfg: Config) -> None:
    assert tune.key(changed(cfg, concurrent=7, cpus_per_trial=2.0)) == tune.key(cfg)
    assert tune.key(challenging(cfg)) != tune.key(cfg), "a challenger's families are chosen by the number of rows"
    assert tune.key(changed(cfg, gpus_per_trial=1.0)) != tune.key(cfg), "another device sums in another order"


@pytest.mark.parametrize(
    "longer", [{"trials": 99}, {"time_budget_s": 9.0}, {"plateau_trials": 9}, {"plateau_gain": 0.1}]
)
def test_a_longer_sweep_is_another_one_that_goes_on_from_the_same_trials(cfg: Config, longer: dict[str, Any]) -> None:
    assert tune.key(changed(cfg, **longer)) != tune.key(cfg)
    assert tune.trials_key(changed(cfg, **longer)) == tune.trials_key(cfg)


def test_a_larger_population_and_another_search_have_trials_of_their_own(cfg: Config) -> None:
    population = changed(cfg, scheduler="pbt")
    assert tune.trials_key(changed(population, trials=99)) != tune.trials_key(population)
    for other in (changed(cfg, seed=1), changed(cfg, space={}), challenging(cfg)):
        assert tune.trials_key(other) != tune.trials_key(cfg)


def test_a_run_on_a_gpu_is_another_run_and_one_without_keeps_its_name(cfg: Config) -> None:
    on_gpu = dataclasses.replace(cfg, scaling=dataclasses.replace(cfg.scaling, gpus_per_worker=1.0))
    assert train.key(on_gpu) != train.key(cfg)
    assert train.fits_key(on_gpu) != train.fits_key(cfg)
    assert "device" not in train.inputs(cfg)
    assert tune.key(on_gpu) == tune.key(cfg), "a trial has tune.gpus_per_trial"


def test_winners_are_trained_on_what_their_trials_had(store: Store, cfg: Config) -> None:
    elastic = dataclasses.replace(cfg, scaling=ScalingConfig("gpu8", 8, 4, 8, 4.0, 1.0))
    one = tune.tuned(elastic, swept(store, 0.0)).scaling
    assert one == ScalingConfig("gpu8", 1, None, 8, 1.0, 0.0)
    two = changed(elastic, workers_per_trial=2, cpus_per_trial=0.5)
    assert tune.tuned(two, swept(store, 0.0)).scaling == ScalingConfig("gpu8", 2, None, 8, 0.5, 0.0)


@pytest.mark.usefixtures("ray_session")
def test_trials_without_room_are_refused_before_anything_is_made(cfg: Config, tmp_path: Path) -> None:
    large = changed(cfg, cpus_per_trial=64.0)
    large.storage = dataclasses.replace(cfg.storage, root=str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match=r"tune.cpus_per_trial=64 .* need 64 CPUs, and the cluster has 4\."):
        tune.run(large)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
class TestSweep:
    def test_the_sweep_holds_a_row_per_trial_its_winners_and_a_page(self, cfg: Config) -> None:
        found = tune.run(cfg)
        rows = snapshots.read(found).to_pylist()
        assert [row["status"] for row in rows] == ["finished"] * 3
        finest = max(rows, key=lambda row: row["average_precision"])
        assert found.manifest["winner"] == finest["family"]
        figures = found.figures[finest["family"]]
        assert figures["validation_average_precision"] == finest["average_precision"] == np.mean(finest["folds"])
        assert {one["gap"] for one in found.read_json("best.json").values()} == {0.0}
        assert "Where the good trials lie" in found.read_bytes("report.html").decode()
        assert tune.run(cfg).manifest["created"] == found.manifest["created"]

    def test_the_challenger_is_made_of_the_fits_that_were_scored_and_does_not_go_live(self, cfg: Config) -> None:
        version = tune.run(challenging(cfg))
        bundle = open_bundle(version, Keys(cfg.keys.folder).verifying())
        store = Store(cfg.storage.root)
        assert ledger.challenger(store, cfg.serve.application) == version.key
        assert ledger.live(store, cfg.serve.application) is None
        won = tune.tuned(challenging(cfg), sweep_of(challenging(cfg)), list(bundle.members))
        assert register.run(won).key == version.key
        assert version.figures == evaluate.run(won).figures

    def test_train_gives_the_same_run_where_it_trains_the_winners_itself(self, cfg: Config, tmp_path: Path) -> None:
        tune.run(challenging(cfg))
        found = sweep_of(challenging(cfg))
        record = max(tune.winners(found).values(), key=lambda one: one.scores["average_precision"])
        members = [record.family]
        won = tune.tuned(challenging(cfg), found, members)
        anew = dataclasses.replace(won, storage=dataclasses.replace(cfg.storage, root=str(tmp_path / "anew")))
        assert train.run(anew).figures[record.family]["validation_average_precision"] == pytest.approx(
            record.scores["average_precision"], abs=1e-12
        )
