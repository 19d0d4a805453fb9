"""The end of a job is its own exit code, or one sentence with what helps."""

import pytest

from workbench.errors import EnvironmentFault
from workbench.jobs import outcome
from workbench.jobs.attempts import Attempt, State

NAME = "0123456789abcdef-1"


@pytest.mark.parametrize("code", [1, 2, 3, 70])
def test_a_code_of_ours_is_passed_on(code: int) -> None:
    assert outcome.exit_code(Attempt(NAME, State.failed, exit_code=code), "error: it says why\n") == code


def test_one_that_succeeded_is_0_and_one_that_was_stopped_130() -> None:
    assert outcome.exit_code(Attempt(NAME, State.succeeded), "") == 0
    assert outcome.exit_code(Attempt(NAME, State.stopped), "") == 130


@pytest.mark.parametrize(
    ("code", "message", "log", "words"),
    [
        (127, "", "/bin/sh: 1: python: not found\n", "PATH has no such Python. Use --python"),
        (1, "", "Traceback\nModuleNotFoundError: No module named 'ray'\n", "Python has no ray. Use --python"),
        (1, "", "/usr/bin/python: No module named msgspec\n", "Python has no msgspec"),
        (-9, "", "", "killed by a signal"),
        (137, "", "", "--memory"),
        (None, "Job supervisor actor died: its node was lost", "", "was lost: Job supervisor actor died"),
        (None, "runtime_env setup failed: no space", "", "free its disk"),
        (None, "Job supervisor actor failed to start within 900 seconds.", "", "Ask for fewer resources"),
        (None, "", "", "does not say why"),
    ],
)  # fmt: skip
def test_an_end_that_is_no_answer_is_a_fault_of_the_environment(
    code: int | None, message: str, log: str, words: str
) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        outcome.exit_code(Attempt(NAME, State.failed, message, code), log)
    assert words in str(caught.value)


def test_a_gate_that_said_no_after_a_module_was_missed_is_still_a_gate() -> None:
    log = "No module named 'polars': done without\nerror: the contract says no\n"
    assert outcome.exit_code(Attempt(NAME, State.failed, exit_code=1), log) == 1
