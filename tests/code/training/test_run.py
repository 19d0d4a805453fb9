"""Real worker groups: the same rows and seed give the same model, also when a worker dies on the way."""

import importlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray

from workbench.config import ScalingConfig, TrainConfig
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, InputError
from workbench.families import LightGBMConfig, NetworkConfig, XGBoostConfig
from workbench.networks import TorchMLPConfig
from workbench.training import run as training
from workbench.training.fits import Fitted, Fold
from workbench.training.gather import Gathered, gather
from workbench.training.run import Trained
from workbench.training.segments import attempts, repeated

FAMILIES = ["xgboost", "lightgbm", "torch_mlp", "keras_mlp"]
NETWORKS = ("torch_mlp", "keras_mlp")
NAMES = ["amount", "count", "risk"]
FOLDS = [
    Fold("select", pc.field("part") == "train", pc.field("part") == "valid"),
    Fold("test", pc.field("part") != "test"),
]
CFG = TrainConfig(
    families=FAMILIES,
    xgboost=XGBoostConfig(rounds=80, max_bin=64),
    lightgbm=LightGBMConfig(rounds=80, max_bin=63, bagging_fraction=0.8),
    torch_mlp=TorchMLPConfig(epochs=8, hidden=[8], bins=8, leaves=4, dropout=0.2, batch_size=64),
    keras_mlp=NetworkConfig(epochs=8, hidden=[8], bins=8, leaves=4, dropout=0.2, batch_size=64),
)
TWO = ScalingConfig(name="tests", workers=2, cpus_per_worker=0.5)
DIES_AT = {  # after these steps of these fits the first worker is killed
    "xgboost": [("select-seed0", 70), ("test-seed0", 10)],
    "lightgbm": [("select-seed0", 70)],
    "torch_mlp": [("select-seed0", 7)],
    "keras_mlp": [("select-seed0", 3)],
}


def rows() -> pa.Table:
    """Rows of which the features tell something, a tenth of them without a label."""
    random = np.random.default_rng(0)
    x_NF = random.lognormal(1, 1, (801, len(NAMES)))
    label = (x_NF[:, 0] + random.normal(0, 1, 801) > 4).astype(float)
    known = pa.array(label, mask=random.random(801) < 0.1)
    part = random.choice(["train", "valid", "test"], 801, p=[0.6, 0.2, 0.2])
    return pa.table({"id": np.arange(801), **dict(zip(NAMES, x_NF.T, strict=True)), "label": known, "part": part})


def snapshot(store: Store, table: pa.Table, key: str = "all", rows_per_file: int = 300) -> Artifact:
    return snapshots.write(store, "features", key, table, parents={}, config={}, rows_per_file=rows_per_file)


def trained(features: Artifact, name: str, cfg: TrainConfig = CFG) -> dict[str, Trained]:
    return training.train_each(features, NAMES, "id", FOLDS, cfg, TWO, name)


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
    training.entry = lambda _: replace(dying)
    rows = gather(features, NAMES, "id", training.chosen(FOLDS))
    side_by_side = replace(TWO, cpus_per_worker=0.25)  # so that all families leave room for the tasks of Ray Data
    return training.train(dying.family, rows, FOLDS, CFG, side_by_side, features.store, "dying")


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("training")))


@pytest.fixture(scope="module")
def undisturbed(ray_session: None, store_of_all: Store) -> dict[str, Trained]:
    return trained(snapshot(store_of_all, rows()), "undisturbed")


def same(one: Trained, other: Trained) -> None:
    """They are one model, to the last bit, with one history."""
    assert (one.steps, list(one.fits)) == (other.steps, list(other.fits))
    for name, fitted in one.fits.items():
        again = other.fits[name]
        assert fitted.steps == again.steps
        assert fitted.average_precision == again.average_precision
        assert fitted.train_loss == again.train_loss
        np.testing.assert_array_equal(np.array(fitted.logits_SN), np.array(again.logits_SN))
        assert fitted.model == again.model


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
    done = training.train_each(features, NAMES, "id", FOLDS, cfg, every, "every")["xgboost"]
    assert done.fits["select", 0].average_precision[-1] > 0.6


def failing(store: Store, change: pc.Expression) -> None:
    """Train on rows of which some have the label 0 only."""
    table = rows()
    chosen = pc.is_in(table["id"], snapshots.read(snapshot(store, table, "before"), ["id"], change)["id"])
    label = pc.if_else(chosen, pc.if_else(pc.is_valid(table["label"]), 0.0, None), table["label"])
    changed = table.set_column(table.column_names.index("label"), "label", label)
    trained(snapshot(store, changed, "changed"), "failing")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("change", "fold"), [(pc.field("part") == "valid", "select-scored"), (pc.field("part") != "test", "select")]
)
def test_labels_of_one_class_are_refused_before_any_worker_starts(
    store: Store, change: pc.Expression, fold: str
) -> None:
    with pytest.raises(InputError, match=rf"{fold} holds \d+ labelled rows of 1 class.*check the labels"):
        failing(store, change)


@pytest.mark.usefixtures("ray_session")
def test_a_training_block_without_a_known_label_is_refused(store: Store) -> None:
    unknown = rows().set_column(4, "label", pa.nulls(801, pa.float64()))
    with pytest.raises(InputError, match="select holds 0 labelled rows of 0 class"):
        trained(snapshot(store, unknown), "unknown")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ({"workers": 9, "cpus_per_worker": 0.5}, "scaling.workers=9 need 4.5 CPUs, and the cluster has 4."),
        ({"workers": 1, "gpus_per_worker": 64}, "scaling.workers=1 need 64 GPUs"),
    ],
)
def test_more_workers_than_the_cluster_has_room_for_are_refused_with_the_remedy(
    store: Store, scaling: dict[str, Any], said: str
) -> None:
    many = ScalingConfig(name="many", **scaling)
    with pytest.raises(EnvironmentFault, match="Use fewer workers, another scaling, or a larger cluster") as caught:
        training.train_each(snapshot(store, rows()), NAMES, "id", FOLDS, CFG, many, "many")
    assert str(caught.value).startswith(said)


@pytest.mark.usefixtures("ray_session")
def test_an_error_of_ours_arrives_as_itself_from_the_process_that_waits_for_ray_train() -> None:
    def refuse() -> None:
        raise InputError("The rows are no good.")

    with pytest.raises(InputError, match=r"^The rows are no good\.$"):
        training._result(ray.remote(refuse).remote())


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("workers", "cpus", "groups"), [(1, 0.25, 4), (2, 0.25, 2), (3, 0.5, 1), (8, 0.25, 1)])
def test_worker_groups_train_side_by_side_where_each_worker_has_a_cpu_and_one_always_does(
    workers: int, cpus: float, groups: int
) -> None:
    assert training._room(ScalingConfig(name="tests", workers=workers, cpus_per_worker=cpus)) == groups


def test_log_odds_of_a_fold_are_the_mean_of_the_asked_seeds_at_the_chosen_step() -> None:
    def fit(*levels: float) -> Fitted:
        return Fitted(steps=[10, 20], logits_SN=[np.full(2, level, np.float32) for level in levels])

    one = Trained("xgboost", 20, {("a", 0): fit(1, 2), ("a", 1): fit(3, 4), ("b", 0): fit(9, 9)})
    assert one.logits_N("a", [0, 1]).tolist() == [3, 3]
    assert one.logits_N("a", [0]).tolist() == [2, 2], "the model that is registered, where nothing is bagged"
    assert one.logits_N("b", [0, 1]).tolist() == [9, 9], "a family that chance does not matter to has one seed"


def test_fewer_rows_than_workers_are_refused_before_any_worker_starts() -> None:
    few = {"select": Gathered([], 3, 2), "test": Gathered([], 9, 2)}
    folds, eight = [Fold("select", pc.scalar(True)), Fold("test", pc.scalar(True))], replace(TWO, workers=8)
    with pytest.raises(InputError, match="fewer rows than workers for xgboost") as caught:
        training.train("xgboost", few, folds, CFG, eight, Store("/nowhere"), "few")
    assert str(caught.value).split("\n  - ")[1:] == [
        "select holds 3 rows to train on for scaling.workers=8. Use at most 3 workers, or widen data.split."
    ]


def test_checkpoints_of_another_device_are_another_plans() -> None:
    config = {"fits": [], "hyper": CFG.xgboost, "anomalies": {}}
    plans = [training._plan(config | {"gpu": gpu}, {}, TWO) for gpu in (False, True)]
    assert plans[0] != plans[1]
