"""Whatever ends a training, the message says what happened and what helps."""

import pytest
import ray.exceptions
from ray.train import WorkerGroupError

from workbench.config import ScalingConfig
from workbench.errors import Diverged, EnvironmentFault
from workbench.training.failures import passing, told

TWO = ScalingConfig(name="tests", workers=2)
RAISED = (
    'Traceback (most recent call last):\n  File "x.py", line 1\nworkbench.errors.EnvironmentFault: The loss is nan.'
)


def failed(*causes: Exception) -> WorkerGroupError:
    return WorkerGroupError("workers failed", dict(enumerate(causes)))


@pytest.mark.parametrize(
    "cause",
    [
        MemoryError("Unable to allocate 4 GiB"),
        ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory."),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried"),
    ],
)
def test_a_worker_without_memory_is_told_with_what_helps(cause: Exception) -> None:
    said = str(told("xgboost", failed(cause), TWO))
    assert said.startswith("Training xgboost ran out of memory in a worker (")
    assert "scaling.workers=2" in said
    assert "goes on from the last checkpoint" in said


def test_an_error_of_ours_in_any_worker_arrives_as_itself() -> None:
    said = told("torch_mlp", failed(RuntimeError("connection closed by peer"), RuntimeError(RAISED)), TWO)
    assert (type(said), str(said)) == (EnvironmentFault, "The loss is nan.")


def test_killed_workers_are_told_with_the_limit() -> None:
    said = str(told("xgboost", failed(ray.exceptions.ActorDiedError()), TWO))
    assert "workers were killed more than scaling.max_failures=2 times" in said


def test_anything_else_is_told_by_its_last_words() -> None:
    said = str(told("xgboost", failed(ValueError("x " * 500 + "the end.")), TWO))
    assert said.endswith("the end. Run the command again: it goes on from the last checkpoint.")
    assert len(said) < 600


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ObjectLostError("ab", None, ""),
        ray.exceptions.WorkerCrashedError(),
        OSError("When reading information for key: AWS Error NETWORK_CONNECTION"),
        MemoryError(),
    ],
)
def test_what_the_machine_did_may_go_better_the_next_time(error: Exception) -> None:
    assert passing(error)


@pytest.mark.parametrize("error", [Diverged("The loss is nan."), ValueError("max_depth"), KeyError("select")])
def test_what_we_or_a_library_refuse_is_refused_again(error: Exception) -> None:
    assert not passing(error)
    assert not passing(ray.exceptions.RayTaskError("encoding_of", "Traceback", error))


@pytest.mark.parametrize(
    ("cause", "may"),
    [(ray.exceptions.ActorDiedError(), True), (RuntimeError("std::bad_alloc"), False), (ValueError("depth"), False)],
)
def test_workers_that_were_killed_may_live_the_next_time(cause: Exception, may: bool) -> None:
    error = told("xgboost", failed(cause), TWO)
    error.__cause__ = failed(cause)
    assert passing(error) == may
