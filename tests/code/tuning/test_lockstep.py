"""Loops take turns, step by step; what fails or has had enough ends them all."""

import threading
from collections.abc import Callable

import pytest

from workbench.training.fits import Fitted, Report
from workbench.tuning.lockstep import Lockstep


def loop(seen: list[str], name: str, steps: int, fails_at: int = 0) -> Callable[[Report], Fitted]:
    def start(report: Report) -> Fitted:
        fitted = Fitted()
        for step in range(1, steps + 1):
            if step == fails_at:
                raise ValueError(f"{name} at {step}")
            seen.append(f"{name}{step}")
            fitted.steps.append(step)
            report(step, fitted, dict)
        return fitted

    return start


def test_every_fit_makes_a_step_before_any_makes_the_next() -> None:
    seen: list[str] = []
    assert list(Lockstep({"a": loop(seen, "a", 3), "b": loop(seen, "b", 3)})) == [1, 2, 3]
    assert seen == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_who_leaves_the_iteration_ends_the_loops() -> None:
    seen: list[str] = []
    for step in Lockstep({"a": loop(seen, "a", 9), "b": loop(seen, "b", 9)}):
        if step == 2:
            break
    assert seen == ["a1", "b1", "a2", "b2"]
    for one in [one for one in threading.enumerate() if one.name in ("fit a", "fit b")]:
        one.join(5)
        assert not one.is_alive(), "no thread is left behind"


def test_a_loop_that_fails_fails_the_trial_with_its_own_error() -> None:
    with pytest.raises(ValueError, match="b at 2"):
        list(Lockstep({"a": loop([], "a", 3), "b": loop([], "b", 3, fails_at=2)}))
