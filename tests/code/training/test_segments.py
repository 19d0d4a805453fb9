"""What each attempt did is told, also of one that was killed."""

import os

from tests.code.training.samples import attempts
from workbench.data.store import Store
from workbench.training import segments
from workbench.training.segments import Segment


def attempt(store: Store, *steps: int) -> Segment:
    """An attempt that worked on these steps of one fit, and never said that it ended."""
    segment = Segment.begin(store.fs, store.path("history"))
    for step in steps:
        segment.add("test-seed0", step, {"train_loss": 1 / step})
    return segment


def test_each_attempt_has_its_own_segment(store: Store) -> None:
    assert [attempt(store, 1, 2).attempt, attempt(store, 3).attempt] == [1, 2]
    found = segments.read(store.fs, store.path("history"))
    assert {number: table["step"].to_pylist() for number, table in found.items()} == {1: [1, 2], 2: [3]}
    assert found[1]["train_loss"].to_pylist() == [1, 0.5]
    assert found[1]["average_precision"].to_pylist() == [None, None]
    assert set(found[1]["process"].to_pylist()) == {os.getpid()}


def test_an_attempt_without_a_step_leaves_nothing(store: Store) -> None:
    attempt(store)
    assert segments.read(store.fs, store.path("history")) == {}


def test_a_step_of_two_attempts_is_counted_as_repeated_and_the_later_one_stands(store: Store) -> None:
    attempt(store, 1, 2, 3)
    attempt(store, 3, 4)
    found = segments.read(store.fs, store.path("history"))
    assert segments.repeated(found) == [("test-seed0", 3)]
    assert [attempts(found)["test-seed0", step] for step in (1, 2, 3, 4)] == [1, 1, 2, 2]
