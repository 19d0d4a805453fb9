"""What trials cannot do is told before anything runs: each with key, value and remedy."""

from pathlib import Path
from typing import Any

import pytest

from tests.code.tuning import samples
from workbench.config import Config
from workbench.errors import ConfigError
from workbench.networks import TorchMLPConfig
from workbench.tuning.space import Space


def faults(cfg: Config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Space.of(cfg)
    return str(caught.value).split("\n  - ")[1:]


def grouped(folder: Path, **tune: Any) -> Config:
    """Trials by two workers, of boosted trees and a network."""
    told = {"workers_per_trial": 2, "patience": None, "families": ["xgboost", "torch_mlp"], **tune}
    return samples.config(folder, **told)


def test_a_group_of_workers_is_not_told_to_stop_half_way(tmp_path: Path) -> None:
    assert Space.of(grouped(tmp_path)).families == ("xgboost", "torch_mlp")
    told = faults(grouped(tmp_path, scheduler="asha", patience=20))
    assert [one.partition(" with ")[0] for one in told] == ["tune.scheduler=asha", "tune.patience=20"]
    assert Space.of(grouped(tmp_path, patience=20, families=["torch_mlp"])), "patience is of boosted families"


@pytest.mark.parametrize(
    ("sizes", "said"), [([64, 65], "65"), ({"low": 64, "high": 128}, "65"), ({"low": 64, "high": 128, "step": 2}, "")]
)
def test_batches_that_the_workers_of_a_trial_do_not_divide_are_told(tmp_path: Path, sizes: Any, said: str) -> None:
    cfg = grouped(tmp_path)
    cfg.tune.space = {"train": {"torch_mlp": {"batch_size": sizes}}}
    if said:
        (fault,) = faults(cfg)
        assert fault.startswith(f"train.torch_mlp.batch_size may be {said}, which tune.workers_per_trial=2 do not")
    else:
        assert Space.of(cfg)


def test_a_batch_that_is_not_searched_is_checked_too(tmp_path: Path) -> None:
    cfg = grouped(tmp_path)
    cfg.train.torch_mlp = TorchMLPConfig(batch_size=63)
    assert faults(cfg)[0].startswith("train.torch_mlp.batch_size may be 63,")


def test_an_anomaly_feature_is_not_searched_since_trials_do_not_know_it(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path)
    cfg.tune.space = {"train": {"xgboost": {"anomaly_feature": ["isolation_forest", None]}}}
    assert faults(cfg) == [
        "tune.space.train.xgboost.anomaly_feature is not known to trials, which fit one family each."
        " Leave it out, or use train."
    ]


def test_a_challenger_of_many_families_is_not_mixed_by_a_grid(tmp_path: Path) -> None:
    many = ["xgboost", "lightgbm", "random_forest", "logistic_regression", "torch_mlp", "keras_mlp"]
    cfg = samples.config(tmp_path, families=many, challenge=True)
    cfg.train.ensemble.method = "grid"
    (fault,) = faults(cfg)
    assert fault.startswith("train.ensemble.method=grid tries every mixture, too many of tune.families")
    cfg.tune.families = many[:5]
    assert Space.of(cfg)


def test_batches_of_trials_are_not_held_against_the_workers_of_train(tmp_path: Path) -> None:
    cfg = samples.config(tmp_path, families=["torch_mlp"])
    cfg.train.families, cfg.scaling.workers = ["torch_mlp"], 2
    cfg.tune.space = {"train": {"torch_mlp": {"batch_size": [63, 127]}}}
    assert Space.of(cfg)
