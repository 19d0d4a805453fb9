"""The verdict follows from the findings, and says each of its reasons."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import MonitorConfig
from workbench.feedback import verdict

CFG = MonitorConfig(minimum_judged=1000, performance_drop=0.1, latency_p99_ms=50.0)


def findings(
    judged: int = 1000, found: float = 0.6, drifted: tuple[str, ...] = (), missing: tuple[str, ...] = (), p99: float = 5
) -> dict[str, Any]:
    """A window in which three inputs are looked at, and those that are named have drifted; the interval is .5 to .7."""
    names = dict.fromkeys(["a", "b", "c", *drifted, *missing])
    return {
        "performance": {"judged": judged, "average_precision": found},
        "drift": [{"name": n, "drifted": n in drifted, "missing_drifted": n in missing} for n in names],
        "latency_ms": {"p99": p99},
        "interval": [0.5, 0.7],
        "promised": {"average_precision": 0.6},
    }


def decided(**changes: Any) -> verdict.Verdict:
    return verdict.decide(findings(**changes), CFG)


def test_what_is_as_promised_is_ok() -> None:
    assert decided() == verdict.Verdict(
        "ok", ["Average precision is 0.600; the evaluation promised 0.600."], "Nothing needs doing."
    )


@pytest.mark.parametrize("judged", [0, 1, 999])
def test_too_few_judged_decisions_are_no_evidence_however_bad_they_look(judged: int) -> None:
    found = decided(judged=judged, found=0.0)
    assert found.verdict == "not_enough_evidence"
    assert found.reasons == [f"{judged} decisions have matured labels; monitor.minimum_judged=1,000 are needed."]


def test_a_window_without_any_figure_is_no_evidence() -> None:
    assert verdict.decide({**findings(), "performance": {}}, CFG).verdict == "not_enough_evidence"


@pytest.mark.parametrize(("found", "expected"), [(0.4499, "degraded"), (0.4501, "ok"), (0.9, "ok")])
def test_the_floor_lies_the_allowed_drop_below_the_interval(found: float, expected: str) -> None:
    assert decided(found=found).verdict == expected


def test_drift_alone_is_no_reason_to_train() -> None:
    found = decided(drifted=("a",))
    assert (found.verdict, found.advice) == ("drift", "Look at it; the decisions are as good as promised.")
    assert found.reasons[1:] == ["1 inputs have drifted: a."]


def test_missing_values_count_as_drift_and_no_input_counts_twice() -> None:
    assert decided(missing=("b",)).reasons[1:] == ["1 inputs have drifted: b."]
    assert decided(drifted=("b",), missing=("b", "c")).reasons[1:] == ["2 inputs have drifted: b, c."]


def test_of_many_drifted_inputs_four_are_named() -> None:
    assert decided(drifted=tuple("abcd")).reasons[1] == "4 inputs have drifted: a, b, c, d."
    assert decided(drifted=tuple("abcdef")).reasons[1] == "6 inputs have drifted: a, b, c, d ...."


@pytest.mark.parametrize(("p99", "slow"), [(50.0, False), (50.1, True)])
def test_a_slow_endpoint_is_called_slow(p99: float, slow: bool) -> None:
    found = decided(p99=p99)
    assert found.verdict == ("slow" if slow else "ok")
    assert ("The 99th percentile of latency is 50.1 ms; 50 are allowed." in found.reasons) == slow
    assert (found.advice == "Nothing needs doing.") != slow


def test_a_degraded_model_that_also_drifts_is_degraded_and_gives_every_reason() -> None:
    found = decided(found=0.1, drifted=("a",), p99=80)
    assert (found.verdict, found.advice) == ("degraded", "Train a challenger.")
    assert len(found.reasons) == 3


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_better_figure_never_gets_a_worse_verdict(first: float, second: float, drifted: bool) -> None:
    worse, better = sorted((first, second))
    names = ("a",) if drifted else ()
    if decided(found=better, drifted=names).verdict == "degraded":
        assert decided(found=worse, drifted=names).verdict == "degraded"
