"""Costs are those of trying every threshold, and a model is never dearer than doing without it."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.code.evaluation.sampled import scored
from workbench.evaluation import costs

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 500)), min_size=2, max_size=40)


@given(ROWS)
def test_normalised_cost_is_the_least_of_all_thresholds(rows: list[tuple[int, int, int]]) -> None:
    label, score, _ = np.array(rows).T
    assume(0 < label.sum() < len(label))
    found = costs.normalised(label, score)
    for share, value in zip(costs.GRID_C, found, strict=True):
        tried = [
            share * (score[label == 1] < limit).mean() + (1 - share) * (score[label == 0] >= limit).mean()
            for limit in [*set(score.tolist()), np.inf]
        ]
        assert value == pytest.approx(min(tried))
        assert value <= min(share, 1 - share) + 1e-12


@given(ROWS, st.integers(0, 300))
def test_money_is_what_the_decisions_cost_at_the_best_threshold(rows: list[tuple[int, int, int]], alarm: int) -> None:
    label, score, amount = np.array(rows).T
    limits = [*set(score.tolist()), np.inf]
    tried = [costs.spent(label, score >= limit, amount, alarm) for limit in limits]
    found = costs.money(label, score, amount, alarm)
    assert found["least"]["cost"] == min(tried)
    assert found["least"]["share"] in [
        (score >= limit).mean() for limit, cost in zip(limits, tried, strict=True) if cost == min(tried)
    ]
    assert set(found["cost"]) <= set(tried)


def test_a_decision_costs_the_amounts_that_are_missed_and_each_false_alarm() -> None:
    label, flagged = np.array([1, 1, 0, 0]), np.array([True, False, True, False])
    assert costs.spent(label, flagged, np.array([100, 250, 9, 9]), 40) == 250 + 40


def test_a_perfect_model_costs_nothing_and_one_without_sense_as_much_as_doing_without() -> None:
    label = np.repeat([0, 1], 50)
    assert max(costs.normalised(label, label)) == 0
    useless = np.tile([0, 1], 50)
    assert costs.normalised(label, useless) == pytest.approx(np.minimum(costs.GRID_C, 1 - costs.GRID_C))


def test_sums_of_money_are_exact_however_large() -> None:
    label, amount = np.ones(3, int), np.array([2**60, 1, 1])
    assert costs.spent(label, np.zeros(3, bool), amount, 0) == 2**60 + 2


def test_every_model_and_price_is_told_and_a_threshold_is_never_cheaper_than_the_least() -> None:
    one = scored(rows=3000)
    amount = np.random.default_rng(0).integers(100, 20_000, 3000)
    found = costs.of(one.label_N, one.scores, one.flagged, amount, [100, 900])
    assert [at["false_positive_minor"] for at in found["money"]] == [100, 900]
    for at in found["money"]:
        assert at["flag_none"] == amount[one.label_N == 1].sum()
        assert at["flag_all"] == at["false_positive_minor"] * int((one.label_N == 0).sum())
        for told in at["models"].values():
            assert told["at_threshold"] >= told["least"]["cost"] <= min(at["flag_none"], at["flag_all"])
            assert len(told["share"]) <= costs.SHOWN + 2
    assert costs.of(one.label_N, one.scores, one.flagged, None, [100])["money"] is None
