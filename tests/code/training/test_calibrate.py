"""Fitted calibrations say what happens, keep the order, and never say never."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from workbench.evaluation import reliability
from workbench.training import calibrate

METHODS = sorted(calibrate.METHODS)


def overconfident(seed: int, rows: int = 20_000, scale: float = 2.0, shift: float = 1.0) -> tuple[np.ndarray, ...]:
    """Labels, and log-odds that are too sure and too high: the true ones are (logit - shift) / scale."""
    random = np.random.default_rng(seed)
    true = random.normal(-3, 1.5, rows)
    return (random.random(rows) < expit(true)).astype(float), scale * true + shift


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 300), st.integers(1, 20), st.sampled_from(METHODS))
def test_the_order_of_the_rows_is_kept(seed: int, rows: int, levels: int, method: str) -> None:
    random = np.random.default_rng(seed)
    label, logit = (random.random(rows) < 0.4).astype(float), random.integers(0, levels, rows) / 3 - 2
    fitted = calibrate.METHODS[method](label, logit)
    asked = np.unique(np.concatenate([logit, np.linspace(-9, 9, 40)]))
    assert (np.diff(fitted.logit(asked)) > 0).all()
    assert np.isfinite(fitted.logit(asked)).all()


@pytest.mark.parametrize("method", METHODS)
def test_on_other_rows_the_probabilities_are_nearer_to_what_happens(method: str) -> None:
    fitted = calibrate.METHODS[method](*overconfident(0))
    label, logit = overconfident(1)
    before = reliability.figures(label, expit(logit))
    after = reliability.figures(label, fitted.probability(logit))
    assert after["brier"] < before["brier"]
    assert after["log_loss"] < before["log_loss"]
    assert after["calibration_error"] < before["calibration_error"] / 5


def test_platt_finds_the_line_that_made_the_rows() -> None:
    fitted = calibrate.platt(*overconfident(2, rows=60_000))
    assert fitted.slope == pytest.approx(0.5, rel=0.05)
    assert fitted.value[0] == pytest.approx(-0.5, abs=0.1)


def test_isotonic_follows_a_bend_that_a_line_cannot() -> None:
    random = np.random.default_rng(3)
    logit = random.normal(0, 2, 40_000)
    true = np.where(logit > 0, logit / 4, logit * 1.5)
    label = (random.random(40_000) < expit(true)).astype(float)
    own, line = calibrate.isotonic(label, logit), calibrate.platt(label, logit)
    gap = {one.method: np.abs(one.probability(logit) - expit(true)).mean() for one in (own, line)}
    assert gap["isotonic"] < gap["platt"] / 2


def test_the_steps_are_those_of_pool_adjacent_violators() -> None:
    label, logit = np.array([0.0, 1.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0, 3.0])
    value, count, share = calibrate._steps(label, logit)
    assert value.tolist() == [0.0, 1.5, 3.0]
    assert count.tolist() == [1, 2, 2]
    assert share.tolist() == [0.0, 0.5, 1.0]


def test_rows_that_teach_nothing_give_their_share_to_all() -> None:
    fitted = calibrate.isotonic(np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(4))
    assert fitted.probability(np.zeros(1)) == pytest.approx(0.25)


def test_a_curve_has_no_more_knots_than_are_allowed() -> None:
    random = np.random.default_rng(0)
    logit = np.sort(random.normal(0, 3, 200_000))
    label = (random.random(200_000) < expit(logit)).astype(float)
    assert len(calibrate.isotonic(label, logit).knot) <= calibrate.MOST_KNOTS


def test_a_model_that_ranks_the_wrong_way_round_is_not_turned_round() -> None:
    label, logit = overconfident(4, rows=2000)
    assert calibrate.platt(label, -logit).slope == pytest.approx(calibrate.FLATTEST)
