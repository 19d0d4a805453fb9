"""Average precision of many mixtures, fast, is the plain one; its jackknife is that of all rows but each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training import fits, ranking
from workbench.training.ranking import Ranked

Rows = tuple[np.ndarray, np.ndarray]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Labels with at least two positives, and scores of which many are equal."""
    size = draw(st.integers(3, 40))
    label = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    label[:2] = 1
    return label, np.array(draw(st.lists(st.integers(0, 6), min_size=size, max_size=size)), float)


@settings(max_examples=50)
@given(rows())
def test_it_is_the_average_precision_of_the_fits(drawn: Rows) -> None:
    label, score = drawn
    found = ranking.precision(score[label == 1], score[label == 0])
    assert found == pytest.approx(fits.average_precision(label, score))


@settings(max_examples=50)
@given(rows())
def test_the_jackknife_leaves_out_one_row_after_the_other(drawn: Rows) -> None:
    label, score = drawn
    order = np.concatenate([np.flatnonzero(label == 1), np.flatnonzero(label == 0)])
    expected = [fits.average_precision(np.delete(label, row), np.delete(score, row)) for row in order]
    np.testing.assert_allclose(ranking.without_each(score[label == 1], score[label == 0]), expected)


def test_rows_without_positives_have_no_precision() -> None:
    assert ranking.precision(np.array([]), np.ones(3)) == 0


def two_members(seed: int, rows: int = 4000) -> Rows:
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.03).astype(float)
    return label, label[:, None] * [2.0, 1.7] + random.normal(0, 1, (rows, 2))


def test_the_error_of_a_difference_is_that_of_drawing_the_rows_anew() -> None:
    label, logits = two_members(0)
    first, second = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    _, error = ranking.difference([Ranked.of(label, logits)], first, second)
    random, drawn = np.random.default_rng(1), []
    for _ in range(300):
        rows = random.integers(0, len(label), len(label))
        both = Ranked.of(label[rows], logits[rows])
        drawn.append(ranking.mean_precision([both], first) - ranking.mean_precision([both], second))
    assert error == pytest.approx(np.std(drawn), rel=0.25)


def test_a_mixture_and_itself_differ_by_nothing_for_certain() -> None:
    folds = [Ranked.of(*two_members(seed, 500)) for seed in range(2)]
    half = np.array([0.5, 0.5])
    assert ranking.difference(folds, half, half) == (0.0, 0.0)


def test_more_folds_make_a_difference_more_certain() -> None:
    folds = [Ranked.of(*two_members(seed)) for seed in range(4)]
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    _, of_one = ranking.difference(folds[:1], first, second)
    _, of_four = ranking.difference(folds, first, second)
    assert of_four == pytest.approx(of_one / 2, rel=0.4)
