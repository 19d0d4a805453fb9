"""Figures mean what they say."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from workbench.errors import InputError
from workbench.evaluation import metrics
from workbench.training import ensemble, fits

DAY = 86_400_000_000
patient = settings(deadline=None)  # a busy machine is no failure
SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60)
PAYMENTS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=40
)  # label, score, day, card


@pytest.mark.parametrize("seed", range(5))
def test_our_average_precision_is_scikit_learns_with_ties_too(seed: int) -> None:
    random = np.random.default_rng(seed)
    label, score = (random.random(500) < 0.1).astype(float), random.integers(0, 40, 500).astype(float)
    assert fits.average_precision(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)


@patient
@given(SCORED)
def test_ranking_figures_of_a_fit_and_of_the_evaluation_agree_however_many_scores_tie(
    rows: list[tuple[bool, int]],
) -> None:
    label, score = np.array(rows).T
    assume(0 < label.sum() < len(label))
    assert fits.average_precision(label, score) == pytest.approx(metrics.average_precision(label, score))
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    found = metrics.weighted(label[order] == 1, np.ones(len(label), int), last)
    assert found == pytest.approx((metrics.roc_auc(label, score), metrics.average_precision(label, score)))


@patient
@given(SCORED)
def test_roc_auc_is_the_share_of_pairs_that_are_in_order(rows: list[tuple[bool, int]]) -> None:
    label, score = np.array(rows).T
    assume(0 < label.sum() < len(label))
    bad, good = score[label == 1][:, None], score[label == 0]
    assert metrics.roc_auc(label, score) == pytest.approx(np.mean((bad > good) + (bad == good) / 2))


def card_precision_by_hand(rows: list[tuple[int, int, int, int]], k: int) -> float:
    """As the handbook says it: each day the k cards with the highest scores, without those caught before."""
    caught: set[int] = set()
    found = []
    for day in sorted({day for _, _, day, _ in rows}):
        highest: dict[int, tuple[int, int]] = {}
        for label, score, when, card in rows:
            if when == day and card not in caught:
                before = highest.get(card, (-1, 0))
                highest[card] = (max(before[0], score), max(before[1], label))
        top = sorted(highest, key=lambda card: (-highest[card][0], card))[:k]
        bad = {card for card in top if highest[card][1]}
        found.append(len(bad) / k)
        caught |= bad
    return sum(found) / len(found)


@patient
@given(PAYMENTS, st.integers(1, 4))
def test_card_precision_equals_a_plain_loop(rows: list[tuple[int, int, int, int]], k: int) -> None:
    label, score, day, card = np.array(rows).T
    expected = pytest.approx(card_precision_by_hand(rows, k))
    assert metrics.card_precision(label, score, day * DAY, card, k) == expected
    names = np.array([f"card-{one}" for one in card], dtype=object)
    assert metrics.card_precision(label, score, day * DAY, names, k) == expected


def test_a_day_ends_at_midnight_and_not_before() -> None:
    label, score, card = np.ones(2), np.ones(2), np.array([1, 2])
    apart = metrics.card_precision(label, score, np.array([DAY - 1, DAY]), card, k=1)
    together = metrics.card_precision(label, score, np.array([0, DAY - 1]), card, k=2)
    assert (apart, together) == (1.0, 1.0)
    assert metrics.card_precision(label, score, np.array([DAY - 1, DAY]), card, k=2) == 0.5


def test_data_that_knows_no_customer_has_no_card_precision() -> None:
    label, score = np.array([0, 1, 1]), np.array([0.1, 0.5, 0.2])
    found = metrics.figures(label, score, np.zeros(3, int), None)
    assert found == {"roc_auc": 1.0, "average_precision": 1.0, "card_precision_at_100": None}
    assert metrics.figures(label, score, np.zeros(3, int), np.arange(3))["card_precision_at_100"] == 0.02


def test_intervals_of_one_seed_are_equal_and_of_another_differ() -> None:
    random = np.random.default_rng(0)
    label = (random.random(300) < 0.2).astype(int)
    folds = [(label, label + random.normal(0, 1, 300))]
    assert metrics.intervals(folds, 50) == metrics.intervals(folds, 50, seed=0)
    assert metrics.intervals(folds, 50) != metrics.intervals(folds, 50, seed=1)


def test_resampled_figures_are_those_of_the_drawn_rows() -> None:
    random = np.random.default_rng(0)
    label, score = random.integers(0, 2, 60), random.integers(0, 20, 60)
    found = metrics.resampled(label, score, 20, np.random.default_rng(5))
    order, again = np.argsort(-score, kind="stable"), np.random.default_rng(5)
    for auc, precision in found:
        drawn = order[again.integers(0, 60, 60)]
        assert auc == pytest.approx(roc_auc_score(label[drawn], score[drawn]))
        assert precision == pytest.approx(average_precision_score(label[drawn], score[drawn]))


def test_draws_without_one_of_the_classes_are_drawn_again() -> None:
    label, score = np.array([1, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.3])
    found = metrics.resampled(label, score, 200, np.random.default_rng(0))
    assert found.shape == (200, 2)
    assert np.array_equal(found, np.ones((200, 2)))


def test_a_perfect_model_has_an_interval_without_width() -> None:
    label = np.repeat([0, 1], 50)
    assert set(metrics.intervals([(label, label)], 100).values()) == {(1.0, 1.0)}


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


def test_rows_of_one_class_are_refused_instead_of_drawn_for_ever() -> None:
    with pytest.raises(InputError, match="all of one class"):
        metrics.intervals([(np.zeros(10), np.arange(10.0))], 5)
