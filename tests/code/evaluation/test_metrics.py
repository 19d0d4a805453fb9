"""Figures mean what they say."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from workbench.evaluation import metrics
from workbench.training import ensemble, fits

DAY = 86_400_000_000


@pytest.mark.parametrize("seed", range(5))
def test_our_average_precision_is_scikit_learns_with_ties_too(seed: int) -> None:
    random = np.random.default_rng(seed)
    label, score = (random.random(500) < 0.1).astype(float), random.integers(0, 40, 500).astype(float)
    assert fits.average_precision(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)


def test_card_precision_counts_cards_once_and_lets_caught_cards_go() -> None:
    label, score = np.array([1, 1, 0, 1, 0]), np.array([0.9, 0.8, 0.1, 0.7, 0.6])
    card, time = np.array([1, 1, 2, 1, 3]), np.array([0, 1, 2, DAY, DAY + 1])
    # day one: card 1 is found among two; day two: card 1 is gone, card 3 is innocent
    assert metrics.card_precision(label, score, time, card, k=2) == pytest.approx((1 / 2 + 0) / 2)


def test_the_interval_holds_the_figure() -> None:
    random = np.random.default_rng(0)
    label = (random.random(2000) < 0.2).astype(int)
    score = label + random.normal(0, 1, 2000)
    found = metrics.intervals([(label, score)], 200)
    for name, metric in (("roc_auc", metrics.roc_auc), ("average_precision", metrics.average_precision)):
        low, high = found[name]
        assert low < metric(label, score) < high


def test_more_folds_make_the_interval_of_their_mean_narrower() -> None:
    random = np.random.default_rng(0)
    folds = [(label := (random.random(500) < 0.2).astype(int), label + random.normal(0, 1, 500)) for _ in range(9)]
    widths = [np.ptp(metrics.intervals(some, 300)["roc_auc"]) for some in (folds[:1], folds)]
    assert widths[1] < widths[0] / 2


def test_rows_that_count_more_than_once_are_weighted_as_scikit_learn_does() -> None:
    random = np.random.default_rng(1)
    label, score, weight = random.integers(0, 2, 400), random.integers(0, 30, 400), random.integers(0, 3, 400)
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    found = metrics.weighted(label[order] == 1, weight[order], last)
    expected = (
        roc_auc_score(label, score, sample_weight=weight),
        average_precision_score(label, score, sample_weight=weight),
    )
    assert found == pytest.approx(expected)


def test_a_member_that_does_not_pay_gets_no_weight() -> None:
    random = np.random.default_rng(0)
    label = (random.random(3000) < 0.1).astype(float)
    good, noise = label * 3 + random.normal(0, 1, 3000), random.normal(0, 5, 3000)
    assert ensemble.weights([(label, np.stack([good, noise], axis=1))]) == [1.0, 0.0]


def test_two_members_that_err_apart_share_the_weight() -> None:
    random = np.random.default_rng(0)
    label = (random.random(3000) < 0.1).astype(float)
    members = [label * 2 + random.normal(0, 1, 3000) for _ in range(2)]
    first, second = ensemble.weights([(label, np.stack(members, axis=1))])
    assert 0.3 <= first <= 0.7
    assert first + second == pytest.approx(1)
