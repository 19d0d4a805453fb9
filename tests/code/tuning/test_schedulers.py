"""Which trials are stopped, asked of Ray's own schedulers with trials that are said to run."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from workbench.tuning.config import TuneConfig
from workbench.tuning.schedulers import PROGRESS, scheduler

FAMILIES = ("xgboost", "torch_mlp")


@dataclass(eq=False)
class Running:
    """What the schedulers ask of a trial."""

    trial_id: str
    config: dict[str, Any]
    status: str = Trial.RUNNING
    last_result: dict[str, Any] = field(default_factory=dict)


def decisions(using: TrialScheduler, scores: list[tuple[str, float]], waiting: int = 0) -> list[str]:
    """What becomes of trials at a half of their steps, each a family and its score, one after the other."""
    live = [Running(f"waits {number}", {}, Trial.PENDING) for number in range(waiting)]
    controller: Any = SimpleNamespace(get_live_trials=lambda: live, get_trials=lambda: live)
    said = []
    for number, (family, score) in enumerate(scores):
        trial: Any = Running(str(number), {"family": family})
        using.on_trial_add(controller, trial)
        said.append(using.on_trial_result(controller, trial, {PROGRESS: 50, "average_precision": score}))
    return said


@pytest.mark.parametrize("name", ["asha", "median"])
@pytest.mark.parametrize(("challenge", "last"), [(True, "CONTINUE"), (False, "STOP")])
def test_a_trial_of_a_stack_is_compared_with_its_own_family(name: str, challenge: bool, last: str) -> None:
    using = scheduler(TuneConfig(scheduler=name, challenge=challenge), FAMILIES)
    strong, weak = [("xgboost", 0.9)] * 4, [("torch_mlp", 0.3)]
    assert decisions(using, strong + weak)[-1] == last


@pytest.mark.parametrize("name", ["asha", "median"])
def test_one_that_is_behind_its_own_family_is_stopped(name: str) -> None:
    using = scheduler(TuneConfig(scheduler=name, challenge=True), FAMILIES)
    assert decisions(using, [("torch_mlp", 0.3)] * 4 + [("torch_mlp", 0.1)])[-1] == "STOP"


def test_the_first_trials_go_on_though_others_wait() -> None:
    assert decisions(scheduler(TuneConfig(scheduler="median"), FAMILIES), [("xgboost", 0.5)], waiting=2) == ["CONTINUE"]


def test_without_a_scheduler_all_go_on_to_their_end() -> None:
    using = scheduler(TuneConfig(challenge=True), FAMILIES)
    assert set(decisions(using, [("xgboost", 0.9)] * 4 + [("xgboost", 0.1)])) == {"CONTINUE"}
