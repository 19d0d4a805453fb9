"""Each way in which a killed driver could change a sweep is found."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import kills_sweep
from benchmarks.kills_command import Command
from benchmarks.kills_sweep import TRIALS
from workbench.tuning.records import FINISHED, Record, Records

KEPT = 3  # trials that were over at the kill


def trials() -> list[Record]:
    return [
        Record(f"trial-{n}", {"family": "xgboost", "eta": n}, FINISHED, {"average_precision": n / 10}, seconds=n)
        for n in range(TRIALS)
    ]


def sweep(folder: Path, found: list[Record], tried: int, best: float = 0.7) -> Command:
    """A command whose sweep has these trials, of which the last run tried so many."""
    command = Command([], folder)
    records = Records.of(command.store, "key")
    for one in found:
        records.write(one, {})
    command.store.stage("sweeps", "key").commit({}, {}, {"xgboost": {"validation_average_precision": best}})
    command.log.write_text("".join(f"  trial {n}/{TRIALS} xgboost\n" for n in range(tried)))
    return command


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., list[str]]:
    undisturbed = sweep(tmp_path / "undisturbed", trials(), TRIALS)

    def found(
        rows: list[Record] | None = None, before: int = KEPT, tried: int = TRIALS - KEPT, best: float = 0.7
    ) -> list[str]:
        disturbed = sweep(tmp_path / "disturbed", rows or trials(), tried, best)
        return kills_sweep.faults(undisturbed, disturbed, {one.name: one for one in trials()[:before]})

    return found


def test_only_the_times_of_trials_that_were_not_over_may_differ(faults: Callable[..., list[str]]) -> None:
    later = [dataclasses.replace(one, seconds=99.0, at_s=99.0) for one in trials()[KEPT:]]
    assert faults(trials()[:KEPT] + later) == []


def test_a_finished_trial_that_was_written_again_is_found(faults: Callable[..., list[str]]) -> None:
    first, *others = trials()
    assert faults([dataclasses.replace(first, seconds=99.0), *others]) == ["finished trials were not kept: ['trial-0']"]


def test_other_scores_and_a_trial_less_are_found(faults: Callable[..., list[str]]) -> None:
    *others, last = trials()
    wrong = ["the trials are others, or their scores"]
    assert faults([*others, dataclasses.replace(last, scores={"average_precision": 0.0})]) == wrong


def test_a_missing_trial_is_found(faults: Callable[..., list[str]]) -> None:
    assert faults(trials()[:-1]) == ["the trials are others, or their scores"]


@pytest.mark.parametrize("before", [0, TRIALS])
def test_a_kill_before_the_first_or_after_the_last_trial_does_not_count(
    faults: Callable[..., list[str]], before: int
) -> None:
    assert faults(before=before, tried=TRIALS - before) == ["it was not killed while it searched"]


def test_trials_that_were_tried_again_are_found(faults: Callable[..., list[str]]) -> None:
    assert faults(tried=TRIALS) == [f"{TRIALS} trials were tried where {TRIALS - KEPT} were left"]


def test_another_winner_is_found(faults: Callable[..., list[str]]) -> None:
    assert faults(best=0.6) == ["figures: {'xgboost': {'validation_average_precision': 0.6}}"]
