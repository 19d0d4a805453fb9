"""The same job submitted again is followed, returned or taken up, and never run twice at once."""

import pytest

from tests.workloads.samples import benchmark_config
from workbench.config import TableConfig
from workbench.jobs import attempts
from workbench.jobs.attempts import Attempt, State

DIGEST, CODE = "0123456789abcdef", "c0de"


def attempt(number: int, state: State, code: str = CODE) -> Attempt:
    return Attempt(f"{DIGEST}-{number}", state, about={"package": code})


def test_a_job_that_nobody_submitted_is_attempt_1() -> None:
    plan = attempts.plan(DIGEST, [], CODE, None)
    assert (plan.name, plan.there) == (f"{DIGEST}-1", None)


@pytest.mark.parametrize("state", attempts.LIVE)
@pytest.mark.parametrize("again", [False, True])
def test_one_that_lives_is_followed_whatever_is_asked(state: State, again: bool) -> None:
    there = attempt(2, state)
    plan = attempts.plan(DIGEST, [attempt(1, State.failed), there], CODE, "it grows", again)
    assert (plan.name, plan.there) == (there.name, there)


def test_one_that_lives_with_other_code_is_followed_and_that_is_said() -> None:
    plan = attempts.plan(DIGEST, [attempt(1, State.running, "other")], CODE, None)
    assert plan.there is not None
    assert "other code" in plan.why


def test_one_that_is_finished_is_returned() -> None:
    plan = attempts.plan(DIGEST, [attempt(1, State.succeeded)], CODE, None)
    assert plan.there == attempt(1, State.succeeded)


@pytest.mark.parametrize(
    ("code", "changing", "again"), [("new", None, False), (CODE, "it grows", False), (CODE, None, True)]
)
def test_one_that_is_finished_runs_again_where_its_answer_may_be_another(
    code: str, changing: str | None, again: bool
) -> None:
    plan = attempts.plan(DIGEST, [attempt(1, State.succeeded)], code, changing, again)
    assert (plan.name, plan.there) == (f"{DIGEST}-2", None)


@pytest.mark.parametrize("state", [State.failed, State.stopped])
def test_one_that_failed_or_was_stopped_is_taken_up_by_the_next_attempt(state: State) -> None:
    plan = attempts.plan(DIGEST, [attempt(9, State.succeeded), attempt(10, state)], CODE, None)
    assert (plan.name, plan.there) == (f"{DIGEST}-11", None)


def test_the_attempts_of_a_job_are_its_own_in_their_order() -> None:
    others = [Attempt("ffffffffffffffff-3", State.running)]
    found = attempts.of_job(DIGEST, [attempt(10, State.failed), *others, attempt(9, State.failed)])
    assert [one.number for one in found] == [9, 10]


def test_a_step_of_generated_data_has_one_answer_and_one_of_files_may_have_another() -> None:
    cfg = benchmark_config("store")
    assert attempts.changing("train", cfg) is None
    assert attempts.changing("deploy", cfg) == "deploy looks at what is live or grows"
    cfg.features.tables["terminals"] = TableConfig(path="s3://b/t.csv", valid_from="at")
    assert attempts.changing("train", cfg) == "s3://b/t.csv may have changed"
