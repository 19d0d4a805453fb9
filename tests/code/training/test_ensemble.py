"""Weights of an ensemble: tenths that sum to one, chosen for what they earn on the selecting folds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.training import ensemble
from workbench.training.fits import average_precision

Fold = tuple[np.ndarray, np.ndarray]


def fold(seed: int, members: int, rows: int = 60) -> Fold:
    """Labels and log-odds of members that each know a little."""
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.3).astype(float)
    return label, label[:, None] * random.uniform(0, 2, members) + random.normal(0, 1, (rows, members))


def earned(folds: list[Fold], weights: list[float]) -> float:
    return float(np.mean([average_precision(label, logits @ weights) for label, logits in folds]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_weights_are_tenths_that_sum_to_one(seed: int, members: int) -> None:
    found = ensemble.weights([fold(seed, members)])
    assert len(found) == members
    assert min(found) >= 0
    assert math.isclose(sum(found), 1)
    assert [10 * one for one in found] == pytest.approx([round(10 * one) for one in found])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_no_other_tenths_earn_more(seed: int) -> None:
    folds = [fold(seed, 3), fold(seed + 1, 3)]
    best = earned(folds, ensemble.weights(folds))
    others = (np.array(one) / 10 for one in itertools.product(range(11), repeat=3) if sum(one) == 10)
    assert max(earned(folds, list(one)) for one in others) == pytest.approx(best, abs=1e-6)


def test_one_member_has_all_the_weight() -> None:
    assert ensemble.weights([fold(0, 1)]) == [1.0]


def test_of_equal_mixtures_the_most_even_one_is_taken() -> None:
    label, logits = fold(0, 1)
    assert ensemble.weights([(label, np.repeat(logits, 2, axis=1))]) == [0.5, 0.5]


def test_the_folds_are_heard_alike_whatever_their_size() -> None:
    label = np.array([1.0, 0.0])
    first_is_right, second_is_right = np.array([[9.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 9.0], [1.0, 0.0]])
    large = (np.tile(label, 50), np.tile(first_is_right, (50, 1)))
    assert ensemble.weights([large, (label, second_is_right)]) == [0.5, 0.5]


def test_members_that_change_places_change_their_weights() -> None:
    label, logits = fold(5, 2)
    assert ensemble.weights([(label, logits[:, ::-1])]) == ensemble.weights([(label, logits)])[::-1]
