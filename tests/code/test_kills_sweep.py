"""Each way in which a killed driver could change a sweep is found."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import kills_sweep
from benchmarks.kills_command import Command
from benchmarks.kills_sweep import TRIALS
from workbench.tuning.records import FAILED, FINISHED, Record, Records

KEPT = 3  # trials that were over at the kill
BEST = (TRIALS - 1) / 10


def trials() -> list[Record]:
    return [
        Record(f"trial-{n}", {"family": "xgboost", "eta": n}, FINISHED, {"average_precision": n / 10}, seconds=n)
        for n in range(TRIALS)
    ]


def sweep(folder: Path, found: list[Record], tried: int, best: float, gap: float) -> Command:
    """A command whose sweep has these trials, of which the last run tried so many."""
    command = Command([], folder)
    records = Records.of(command.store, "key")
    for one in found:
        records.write(one, {})
    figures = {"validation_average_precision": best, "gap": gap}
    command.store.stage("sweeps", "key").commit({}, {}, {"xgboost": figures})
    command.log.write_text("".join(f"  trial {n}/{TRIALS} xgboost\n" for n in range(tried)))
    return command


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., list[str]]:
    def found(
        rows: list[Record] | None = None,
        before: int = KEPT,
        tried: int = TRIALS - KEPT,
        best: float = BEST,
        gap: float = 0.0,
    ) -> list[str]:
        disturbed = sweep(tmp_path / "sweep", rows or trials(), tried, best, gap)
        return kills_sweep.faults(disturbed, {one.name: one for one in trials()[:before]})

    return found


def test_trials_that_were_not_over_may_be_others(faults: Callable[..., list[str]]) -> None:
    later = [dataclasses.replace(one, name=f"new-{one.name}") for one in trials()[KEPT:]]
    assert faults(trials()[:KEPT] + later) == []


def test_a_finished_trial_that_was_written_again_is_found(faults: Callable[..., list[str]]) -> None:
    first, *others = trials()
    assert faults([dataclasses.replace(first, seconds=99.0), *others]) == ["finished trials were not kept: ['trial-0']"]


def test_a_trial_that_failed_is_found(faults: Callable[..., list[str]]) -> None:
    *others, last = trials()
    wrong = [f"of {TRIALS} trials ended well: {TRIALS - 1}"]
    assert faults([*others, dataclasses.replace(last, status=FAILED, scores={})], best=BEST - 0.1) == wrong


def test_a_missing_trial_is_found(faults: Callable[..., list[str]]) -> None:
    *others, _, last = trials()
    assert faults([*others, last]) == [f"of {TRIALS} trials ended well: {TRIALS - 1}"]


@pytest.mark.parametrize("before", [0, TRIALS])
def test_a_kill_before_the_first_or_after_the_last_trial_does_not_count(
    faults: Callable[..., list[str]], before: int
) -> None:
    assert faults(before=before, tried=TRIALS - before) == ["it was not killed while it searched"]


def test_trials_that_were_tried_again_are_found(faults: Callable[..., list[str]]) -> None:
    assert faults(tried=TRIALS) == [f"{TRIALS} trials were tried where {TRIALS - KEPT} were left"]


def test_another_winner_is_found(faults: Callable[..., list[str]]) -> None:
    assert faults(best=0.1) == ["the winner is not the best"]


def test_a_winner_whose_checkpoint_is_another_is_found(faults: Callable[..., list[str]]) -> None:
    assert faults(gap=0.5) == ["the winner's checkpoint, scored again, differs by 0.5"]
