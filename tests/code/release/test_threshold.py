"""Each rule's threshold is the best of all cuts by plain counting, and the decision says what it does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import RegisterConfig
from workbench.decisions import ThresholdConfig
from workbench.release.threshold import DAY_US, Decision, Judged, decide


def judged(seed: int, rows: int = 200, levels: int = 50, share: float = 1.0) -> Judged:
    """Four days of rows whose scores tie now and then."""
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.2).astype(int)
    score = ((label + random.integers(0, levels, rows)) / (levels + 1)).astype(np.float32)
    times = random.integers(0, 4 * DAY_US, rows)
    times[:4] = np.arange(4) * DAY_US
    return Judged(label, score, times, random.integers(1, 30_000, rows).astype(float), share)


def config(rule: str, **values: float) -> RegisterConfig:
    share = values.pop("flagged_share", 0.1)
    return RegisterConfig(threshold=ThresholdConfig(rule=rule, **values), flagged_share=share)  # type: ignore[arg-type]


def cost(rows: Judged, threshold: float, each: int) -> float:
    flagged = rows.score_N >= threshold
    assert rows.amount_N is not None
    return each * float((flagged & (rows.label_N == 0)).sum()) + float(
        rows.amount_N[~flagged & (rows.label_N == 1)].sum()
    )


def everywhere(rows: Judged) -> np.ndarray:
    """A threshold in every gap."""
    scores = np.unique(rows.score_N.astype(float))
    return np.concatenate([[0.0], (scores[1:] + scores[:-1]) / 2, [2.0]])


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 40_000))
def test_no_other_threshold_costs_less(seed: int, each: int) -> None:
    rows = judged(seed)
    found = decide(rows, config("cost", cost_false_positive_minor=each))
    least = min(cost(rows, one, each) for one in everywhere(rows))
    assert cost(rows, found.threshold, each) == pytest.approx(least)
    assert found.cost_minor_per_day == pytest.approx(least / 4)


RULES = {
    "flagged_share": lambda rows, flagged, good, limit: flagged <= limit * len(rows.label_N),
    "false_positive_rate": lambda rows, flagged, good, limit: good <= limit * (rows.label_N == 0).sum(),
    "capacity": lambda rows, flagged, good, limit: flagged <= limit * 4,
}


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(sorted(RULES)), st.floats(0, 0.9))
def test_as_many_are_flagged_as_the_rule_allows(seed: int, rule: str, limit: float) -> None:
    rows = judged(seed)
    limit = round(limit * 60) if rule == "capacity" else limit
    found = decide(rows, config(rule, **{rule: limit}))

    def allowed(threshold: float) -> bool:
        flagged = rows.score_N >= threshold
        return bool(RULES[rule](rows, flagged.sum(), (flagged & (rows.label_N == 0)).sum(), limit))

    assert allowed(found.threshold)
    most = max(int((rows.score_N >= one).sum()) for one in everywhere(rows) if allowed(one))
    assert (rows.score_N >= found.threshold).sum() == most


def test_the_decision_says_what_it_does() -> None:
    rows = judged(3)
    found = decide(rows, config("capacity", capacity=10, cost_false_positive_minor=500))
    flagged = rows.score_N >= found.threshold
    bad = rows.label_N == 1
    assert found == Decision(
        rule="capacity",
        threshold=found.threshold,
        flags_per_day=flagged.sum() / 4,
        precision=(flagged & bad).sum() / flagged.sum(),
        recall=(flagged & bad).sum() / bad.sum(),
        false_positive_rate=(flagged & ~bad).sum() / (~bad).sum(),
        cost_minor_per_day=pytest.approx(cost(rows, found.threshold, 500) / 4),
    )


def test_a_sample_of_the_rows_stands_for_whole_days() -> None:
    whole, fifth = decide(judged(1), config("flagged_share")), decide(judged(1, share=0.2), config("flagged_share"))
    assert fifth.flags_per_day == pytest.approx(5 * whole.flags_per_day)
    assert decide(judged(1, share=0.2), config("capacity", capacity=100)).flags_per_day <= 100


@pytest.mark.parametrize("highest", [1.0, 0.3])
def test_where_nothing_may_be_flagged_no_score_reaches_the_threshold(highest: float) -> None:
    rows = Judged(np.array([0, 0, 1]), np.array([0.1, highest, 0.05], np.float32), np.arange(3), None, 1.0)
    found = decide(rows, config("false_positive_rate", false_positive_rate=0.0))
    assert not (rows.score_N.astype(float) >= found.threshold).any()
    assert (found.precision, found.recall, found.cost_minor_per_day) == (None, 0.0, None)


def test_where_all_may_be_flagged_a_score_of_zero_is() -> None:
    rows = Judged(np.array([0, 1]), np.array([0.0, 0.5], np.float32), np.arange(2), np.array([1.0, 900.0]), 1.0)
    assert decide(rows, config("capacity", capacity=10)).threshold == 0.0


def test_dear_false_alarms_raise_the_threshold_and_dear_frauds_lower_it() -> None:
    cheap, dear = (decide(judged(5), config("cost", cost_false_positive_minor=one)) for one in (100, 20_000))
    assert cheap.threshold < dear.threshold
    assert cheap.flags_per_day > dear.flags_per_day
