"""Weights of an ensemble: none negative, sum one, chosen for what they earn; who does not pay is left out."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.decisions import EnsembleConfig
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


GRID = EnsembleConfig(method="grid", noise=None)
METHODS = [EnsembleConfig(method=method, noise=noise) for method in ensemble.METHODS for noise in (None, 1.0)]


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_weights_are_not_negative_and_sum_to_one_by_every_method(seed: int, members: int) -> None:
    for cfg in METHODS:
        found = ensemble.weights([fold(seed, members), fold(seed + 1, members)], cfg)
        assert len(found) == members
        assert min(found) >= 0
        assert math.isclose(sum(found), 1)


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_greedy_and_grid_rank_the_selecting_rows_no_worse_than_the_best_member(seed: int, members: int) -> None:
    folds = [fold(seed, members), fold(seed + 1, members)]
    best = max(earned(folds, list(one)) for one in np.eye(members))
    for method in ("greedy", "grid"):
        assert earned(folds, ensemble.weights(folds, EnsembleConfig(method=method, noise=None))) >= best - 2e-6


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_no_other_tenths_earn_more(seed: int) -> None:
    folds = [fold(seed, 3), fold(seed + 1, 3)]
    best = earned(folds, ensemble.weights(folds, GRID))
    others = (np.array(one) / 10 for one in itertools.product(range(11), repeat=3) if sum(one) == 10)
    assert max(earned(folds, list(one)) for one in others) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("method", ensemble.METHODS)
def test_few_rows_leave_the_weights_equal_and_many_do_not(method: str) -> None:
    cfg = EnsembleConfig(method=method, noise=None, equal=1.0)
    chosen = dataclasses.replace(cfg, equal=None)
    few, many = unlike(60), unlike(20_000)
    assert ensemble.weights([few], cfg) == [1 / 3] * 3 != ensemble.weights([few], chosen)
    assert ensemble.weights([many], cfg) == ensemble.weights([many], chosen) != [1 / 3] * 3


def unlike(rows: int) -> Fold:
    """Members of which one knows more than the others."""
    random = np.random.default_rng(0)
    label = (random.random(rows) < 0.3).astype(float)
    return label, label[:, None] * np.array([1.0, 1.5, 0.8]) + random.normal(0, 1, (rows, 3))


def test_greedy_draws_no_more_often_than_allowed() -> None:
    found = ensemble.weights([fold(7, 3)], EnsembleConfig(draws=4, noise=None))
    sizes = [size for size in (1, 2, 3, 4) if all(abs(one * size - round(one * size)) < 1e-9 for one in found)]
    assert sizes, found


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 11))
def test_more_draws_rank_the_selecting_rows_no_worse(seed: int, fewer: int) -> None:
    folds = [fold(seed, 3), fold(seed + 1, 3)]
    few, many = (ensemble.weights(folds, EnsembleConfig(draws=draws, noise=None)) for draws in (fewer, 12))
    assert earned(folds, many) >= earned(folds, few) - 2e-6


@pytest.mark.parametrize("method", ensemble.METHODS)
def test_a_member_that_knows_nothing_is_left_out(method: str) -> None:
    random = np.random.default_rng(0)
    label = (random.random(6000) < 0.1).astype(float)
    good = [label * 2 + random.normal(0, 1, 6000) for _ in range(2)]
    folds = [(label, np.stack([*good, random.normal(0, 1, 6000)], axis=1))]
    found = ensemble.weights(folds, EnsembleConfig(method=method))
    assert found[2] == 0
    assert min(found[:2]) > 0.2


@pytest.mark.parametrize("method", ensemble.METHODS)
def test_of_two_members_that_say_the_same_one_is_left_out(method: str) -> None:
    label, logits = fold(0, 1, rows=500)
    found = ensemble.weights([(label, np.repeat(logits, 2, axis=1))], EnsembleConfig(method=method))
    assert sorted(found) == [0.0, 1.0]


def test_a_member_stays_where_its_absence_would_cost_more_than_noise() -> None:
    random = np.random.default_rng(1)
    label = (random.random(20_000) < 0.05).astype(float)
    folds = [(label, np.stack([label * 2 + random.normal(0, 1, 20_000) for _ in range(3)], axis=1))]
    assert min(ensemble.weights(folds, EnsembleConfig(noise=3.0))) > 0.2


def test_one_member_has_all_the_weight() -> None:
    assert ensemble.weights([fold(0, 1)]) == [1.0]


def test_of_equal_mixtures_the_most_even_one_is_taken() -> None:
    label, logits = fold(0, 1)
    assert ensemble.weights([(label, np.repeat(logits, 2, axis=1))], GRID) == [0.5, 0.5]


def test_the_folds_are_heard_alike_whatever_their_size() -> None:
    label = np.array([1.0, 0.0])
    first_is_right, second_is_right = np.array([[9.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 9.0], [1.0, 0.0]])
    large = (np.tile(label, 50), np.tile(first_is_right, (50, 1)))
    assert ensemble.weights([large, (label, second_is_right)], GRID) == [0.5, 0.5]


def test_members_that_change_places_change_their_weights() -> None:
    label, logits = fold(5, 2)
    for cfg in METHODS:
        there, back = ensemble.weights([(label, logits)], cfg), ensemble.weights([(label, logits[:, ::-1])], cfg)
        assert back[::-1] == pytest.approx(there, abs=1e-4)
