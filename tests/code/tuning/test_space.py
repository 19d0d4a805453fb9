"""Search spaces are checked whole before anything runs, and drawn as they say."""

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workbench.tuning.space import Space, Values, applied
from workloads import door

optuna.logging.set_verbosity(optuna.logging.ERROR)
NESTED = {
    "train": {
        "xgboost": {
            "max_depth": {"low": 2, "high": 6},
            "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            "subsample": {"low": 0.5, "high": 1.0, "step": 0.25},
            "colsample_bytree": {"low": 0.5, "high": 0.9, "when": {"train.xgboost.subsample": [0.5, 0.75]}},
        },
        "torch_mlp": {
            "hidden": [[64, 32], [16]],
            "bins": [0, 8],
            "leaves": {"values": [0, 4], "when": {"train": {"torch_mlp": {"bins": 8}}}},
            "dropout": {"low": 0, "high": 0.5, "when": {"train.torch_mlp.leaves": 4}},
        },
    }
}


README = Path(door.__file__).with_name("README.md")
COMMANDS = re.findall(r"python -m workloads\.tune ([^#\n]+?) *(?:#.*)?$", README.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_sweep_that_the_readme_shows_has_a_space_that_is_right(command: str) -> None:
    assert Space.of(door.composed(command.split())).parameters


def test_the_readme_shows_every_kind_of_sweep() -> None:
    assert {"scheduler=asha", "scheduler=pbt", "tune=auto"} <= set(
        re.findall(r"scheduler=\w+|tune=auto", str(COMMANDS))
    )


@pytest.fixture(scope="module")
def default() -> Config:
    return door.composed([])


def config(default: Config, space: dict[str, Any], *families: str) -> Config:
    cfg = copy.deepcopy(default)
    cfg.tune.space, cfg.tune.families = space, list(families or ("xgboost", "torch_mlp"))
    return cfg


def draws(cfg: Config, number: int = 60, seed: int = 0) -> list[Values]:
    space, study = Space.of(cfg), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [space.draw(study.ask()) for _ in range(number)]


def told(default: Config, space: dict[str, Any], *families: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Space.of(config(default, space, *families))
    return str(caught.value).split("\n  - ")[1:]


def test_a_trial_draws_the_keys_of_its_own_family_alone(default: Config) -> None:
    found = draws(config(default, NESTED))
    assert {one["family"] for one in found} == {"xgboost", "torch_mlp"}
    for one in found:
        assert {key.split(".")[1] for key in one if key != "family"} == {one["family"]}


def test_values_are_of_the_keys_type_and_lie_in_their_range(default: Config) -> None:
    for one in draws(config(default, NESTED, "xgboost")):
        assert isinstance(depth := one["train.xgboost.max_depth"], int)
        assert 2 <= depth <= 6
        assert isinstance(rate := one["train.xgboost.learning_rate"], float)
        assert 0.01 <= rate <= 0.3
        assert one["train.xgboost.subsample"] in (0.5, 0.75, 1.0)
    assert {tuple(one["train.torch_mlp.hidden"]) for one in draws(config(default, NESTED, "torch_mlp"))} == {
        (64, 32),
        (16,),
    }


def test_a_logarithmic_range_is_drawn_by_its_logarithm(default: Config) -> None:
    rates = [one["train.xgboost.learning_rate"] for one in draws(config(default, NESTED, "xgboost"), 400)]
    below = sum(rate < 0.055 for rate in rates) / len(rates)  # the middle of the logarithms: sqrt(.01 x .3)
    assert 0.42 < below < 0.58


def test_a_condition_and_a_condition_on_a_conditional_key_hold(default: Config) -> None:
    for one in draws(config(default, NESTED, "xgboost")):
        assert ("train.xgboost.colsample_bytree" in one) == (one["train.xgboost.subsample"] < 1)
    seen = set()
    for one in draws(config(default, NESTED, "torch_mlp")):
        assert ("train.torch_mlp.leaves" in one) == (one["train.torch_mlp.bins"] == 8)
        assert ("train.torch_mlp.dropout" in one) == (one.get("train.torch_mlp.leaves") == 4)
        seen.add(len(one))
    assert len(seen) == 3


def test_the_same_seed_draws_the_same(default: Config) -> None:
    cfg = config(default, NESTED)
    assert draws(cfg, seed=3) == draws(cfg, seed=3)
    assert draws(cfg, seed=3) != draws(cfg, seed=4)


def test_keys_in_one_line_and_keys_in_sections_are_the_same(default: Config) -> None:
    dotted = {f"train.xgboost.{key}": leaf for key, leaf in NESTED["train"]["xgboost"].items()}
    assert Space.of(config(default, dotted, "xgboost")) == Space.of(config(default, NESTED, "xgboost"))


def test_drawn_values_arrive_in_the_config_and_nowhere_else(default: Config) -> None:
    values = {"family": "xgboost", "train.xgboost.max_depth": 5}
    cfg = applied(default, values)
    assert (cfg.train.families, cfg.train.xgboost.max_depth) == (["xgboost"], 5)
    assert cfg.train.torch_mlp == default.train.torch_mlp
    assert default.train.xgboost.max_depth != 5
    assert dataclasses.replace(cfg, train=default.train) == default


def test_what_a_sweep_begins_with_is_the_config_as_far_as_the_space_allows_it(default: Config) -> None:
    cfg = config(default, NESTED, "xgboost")
    cfg.train.xgboost.max_depth, cfg.train.xgboost.learning_rate = 4, 0.9
    space = Space.of(cfg)
    (begin,) = space.begin(cfg)
    assert space.raw(begin) == {"train.xgboost.max_depth": 4, "train.xgboost.subsample": 1.0}


FAULTS: list[tuple[str, Any, str]] = [
    ("train.xgboost.max_dept", [2], "is no key of a model. Did you mean train.xgboost.max_depth"),
    ("data.split.seed", [2], "is no key of a model"),
    ("train.xgboost.max_depth", 3, "=3 is no range. Use {low: ..., high: ...} or a list of values."),
    ("train.xgboost.max_depth", {"low": 1.5, "high": 4}, "low=1.5, and the key is of type int"),
    ("train.xgboost.max_depth", ["deep"], "holds 'deep', and the key is of type int"),
    ("train.xgboost.max_depth", [True], "holds True, and the key is of type int"),
    ("train.torch_mlp.hidden", [[64], 32], "holds 32, and the key is of type list[int]"),
    ("train.torch_mlp.hidden", {"low": 1, "high": 2}, "is a range, and the key is of type list[int]"),
    ("train.xgboost.max_depth", {"low": 2}, "has no high. A range needs both"),
    ("train.xgboost.max_depth", {"low": 5, "high": 2}, "low=5 is greater than high=2"),
    ("train.xgboost.reg_lambda", {"low": 0, "high": 2, "log": True}, "low=0 with log=true"),
    ("train.xgboost.reg_lambda", {"low": 0.1, "high": 2, "log": True, "step": 0.1}, "has log=true and a step"),
    ("train.xgboost.max_depth", {"low": 2, "high": 4, "step": 0}, ".step=0 must be greater than 0"),
    ("train.xgboost.max_depth", {"values": [], "when": {"a": 1}}, ".values=[] is no list of values"),
    ("train.xgboost.max_depth", [2, 2], "names a value twice"),
    ("train.xgboost.max_depth", {"values": [2], "low": 1}, "has values and low as well"),
    ("train.xgboost.subsample", {"low": 0.5, "high": 1.5}, "subsample=1.5 must be greater than 0 and at most 1"),
    ("train.xgboost.max_depth", {"values": [2], "when": 3}, ".when=3 is no condition"),
    ("train.xgboost.max_depth", {"values": [2], "when": {"train.xgboost.rounds": 9}}, "which is not searched beside"),
]


@pytest.mark.parametrize(("key", "leaf", "said"), FAULTS)
def test_a_fault_is_told_with_key_value_rule_and_remedy(default: Config, key: str, leaf: Any, said: str) -> None:
    (fault,) = told(default, {key: leaf})
    assert fault.startswith(f"tune.space.{key}")
    assert said in fault


def test_conditions_that_can_never_hold_are_told(default: Config) -> None:
    depth, rounds = "train.xgboost.max_depth", "train.xgboost.rounds"
    assert "is never 7" in told(default, {depth: {"values": [2], "when": {rounds: 7}}, rounds: [5]})[0]
    other = {depth: {"values": [2], "when": {"train.lightgbm.rounds": 5}}, "train.lightgbm.rounds": [5]}
    assert "a key of another family" in told(default, other)[0]
    circle = {
        depth: {"values": [2], "when": {rounds: 5}},
        rounds: {"values": [5], "when": {depth: 2}},
    }
    assert f"the conditions of {depth}, {rounds} go in a circle" in told(default, circle)[0]


def test_all_faults_are_told_at_once(default: Config) -> None:
    wrong = {key: leaf for key, leaf, _ in FAULTS[:2]} | {"train.lightgbm.num_leaves": {"low": 9, "high": 3}}
    assert len(told(default, wrong, "svm")) == 4


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "torch_mlp", "auto"])
def test_the_spaces_that_come_with_it_are_right(name: str) -> None:
    cfg = door.composed([f"tune={name}"])
    assert draws(cfg, 5)
