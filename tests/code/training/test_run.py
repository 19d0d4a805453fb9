"""Real worker groups: the same rows and seed give the same model, also when a worker dies on the way."""

import importlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import ray

from tests.code.training.samples import CFG, FAMILIES, FOLDS, NAMES, TWO, attempts, rows, same, snapshot, trained
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Artifact, Store
from workbench.errors import InputError
from workbench.families import XGBoostConfig
from workbench.training import group, plan, run
from workbench.training.families import train_each
from workbench.training.fits import Fitted, Fold
from workbench.training.gather import Gathered, gather
from workbench.training.segments import repeated
from workbench.training.trained import Trained

NETWORKS = ("torch_mlp", "keras_mlp")
DIES_AT = {  # after these steps of these fits the first worker is killed
    "xgboost": [("select-seed0", 70), ("test-seed0", 10)],
    "lightgbm": [("select-seed0", 70)],
    "torch_mlp": [("select-seed0", 7)],
    "keras_mlp": [("select-seed0", 3)],
}


@dataclass(frozen=True)
class Dying:
    """A family's entry for workers, of which the first kills itself once after each of some steps."""

    family: str
    folder: Path

    def __call__(self, config: dict[str, Any]) -> Any:
        module = importlib.import_module(f"workbench.training.{self.family}")
        loop = module.loop

        def watched(shard: Any, scored: Any, steps: int, fit: Any, config: Any, start: Any, report: Any) -> Fitted:
            def report_and_die(step: int, fitted: Fitted, state: Any) -> None:
                report(step, fitted, state)
                if ray.train.get_context().get_world_rank() == 0:
                    self.passed(fit.name, step)

            return loop(shard, scored, steps, fit, config, start, report_and_die)

        module.loop = watched
        return module.train(config)

    def passed(self, fit: str, step: int) -> None:
        """Write the step down; die where it is one to die after."""
        with (self.folder / self.family).open("a") as file:
            file.write(f"{fit} {step}\n")
        marker = self.folder / f"{self.family} {fit} {step}"
        if (fit, step) in DIES_AT[self.family] and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def steps(self, fit: str) -> list[int]:
        """Every step of a fit that was worked on, in order."""
        lines = (self.folder / self.family).read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(fit)]


def trained_by_the_dying(dying: Dying, features: Artifact) -> Trained:
    """The family with workers that die, in this process of its own."""
    group.entry = lambda _: replace(dying)
    gathered = gather(features, NAMES, "id", plan.chosen(FOLDS))
    side_by_side = replace(TWO, cpus_per_worker=0.25)  # so that all families leave room for the tasks of Ray Data
    return run.train(dying.family, gathered, FOLDS, CFG, side_by_side, features.store, "dying")


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("training")))


@pytest.fixture(scope="module")
def undisturbed(ray_session: None, store_of_all: Store) -> dict[str, Trained]:
    return trained(snapshot(store_of_all, rows()), "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_fitted_on_every_fold_and_scored_where_it_selects(
    undisturbed: dict[str, Trained], family: str
) -> None:
    one, every = undisturbed[family], 1 if family in NETWORKS else 10
    assert set(one.fits) == {("select", 0), ("test", 0)}
    selecting, final = one.fits["select", 0], one.fits["test", 0]
    assert selecting.steps == list(range(every, 9 if family in NETWORKS else 81, every))
    assert final.steps == [step for step in selecting.steps if step <= one.steps]
    assert len(selecting.average_precision) == len(selecting.logits_SN) == len(selecting.steps)
    assert final.average_precision == [], "what a model is judged on is not scored in training"
    assert max(selecting.average_precision) > 0.6


@pytest.mark.slow
def test_the_same_rows_in_other_files_and_order_give_the_same_model(
    undisturbed: dict[str, Trained], store_of_all: Store
) -> None:
    shuffled = rows().take(np.random.default_rng(1).permutation(801))
    again = trained(snapshot(store_of_all, shuffled, "shuffled", rows_per_file=170), "again")
    for family in FAMILIES:
        same(again[family], undisturbed[family])


@pytest.mark.slow
def test_workers_that_die_change_nothing_but_the_time(
    undisturbed: dict[str, Trained], store_of_all: Store, tmp_path: Path
) -> None:
    features = store_of_all.get("features", "all")
    alone = ray.remote(num_cpus=0, max_calls=1)(trained_by_the_dying)
    dying = {family: Dying(family, tmp_path) for family in FAMILIES}
    found = ray.get([alone.remote(one, features) for one in dying.values()])
    for one, family in zip(found, FAMILIES, strict=True):
        assert len(list(tmp_path.glob(f"{family} *"))) == len(DIES_AT[family]), "the workers did die"
        same(one, undisturbed[family])
    for family in FAMILIES:
        steps = list(range(1, 9)) if family in NETWORKS else list(range(10, 81, 10))
        assert dying[family].steps("select-seed0") == steps, "no step was trained twice"
        segments = one_of(found, family).segments
        over = DIES_AT[family][-1] == ("test-seed0", undisturbed[family].steps)  # the last start had nothing left to do
        assert len(segments) == len(DIES_AT[family]) + (not over), "each start that worked wrote a segment"
        assert repeated(segments) == []
        assert [step for fit, step in attempts(segments) if fit == "select-seed0"] == steps
    chosen = undisturbed["xgboost"].steps
    assert dying["xgboost"].steps("test-seed0") == list(range(10, chosen + 1, 10)), "nor is the finished fit before it"


def one_of(found: list[Trained], family: str) -> Trained:
    return next(one for one in found if one.family == family)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("workers", "least"), [(4, None), (8, 2)])
def test_workers_may_take_every_cpu_and_elastic_ones_as_many_as_there_are(
    store: Store, workers: int, least: int | None
) -> None:
    cfg = TrainConfig(families=["xgboost"], xgboost=XGBoostConfig(rounds=20, max_bin=64))
    every = ScalingConfig(name="tests", workers=workers, min_workers=least, cpus_per_worker=1)
    features = snapshot(store, rows())
    done = train_each(features, NAMES, "id", FOLDS, cfg, every, "every")["xgboost"]
    assert done.fits["select", 0].average_precision[-1] > 0.6


def test_fewer_rows_than_workers_are_refused_before_any_worker_starts() -> None:
    few = {"select": Gathered([], 3, 2), "test": Gathered([], 9, 2)}
    folds, eight = [Fold("select", pc.scalar(True)), Fold("test", pc.scalar(True))], replace(TWO, workers=8)
    with pytest.raises(InputError, match="too few rows for xgboost") as caught:
        run.train("xgboost", few, folds, CFG, eight, Store("/nowhere"), "few")
    assert str(caught.value).split("\n  - ")[1:] == [
        "select holds 3 rows to train on for scaling.workers=8. Use at most 3 workers, or widen data.split."
    ]
