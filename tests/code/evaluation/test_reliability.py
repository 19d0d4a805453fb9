"""Probabilities that come true have no calibration error; the figures are the textbook's."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from workbench.evaluation import reliability

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.beta(0.3, 6, 100_000)
LABEL = (RANDOM.random(100_000) < TRUE).astype(int)


def test_brier_score_and_log_loss_are_scikit_learns() -> None:
    found = reliability.figures(LABEL, TRUE)
    assert found["brier"] == pytest.approx(brier_score_loss(LABEL, TRUE))
    assert found["log_loss"] == pytest.approx(log_loss(LABEL, np.clip(TRUE, 2.0**-24, 1)), rel=1e-4)


def test_probabilities_that_come_true_have_a_small_error_and_doubled_ones_a_large_one() -> None:
    assert reliability.calibration_error(LABEL, TRUE) < 0.003
    assert reliability.calibration_error(LABEL, np.minimum(2 * TRUE, 1)) == pytest.approx(TRUE.mean(), rel=0.1)


def test_certainty_that_errs_costs_much_and_stays_a_number() -> None:
    found = reliability.figures(np.array([1, 0]), np.array([0.0, 1.0], np.float32))
    assert found["log_loss"] == pytest.approx(24 * np.log(2))


@pytest.mark.parametrize("rows", [1, 7, 25, 3000])
def test_the_groups_of_a_picture_hold_all_rows_however_few(rows: int) -> None:
    found = reliability.curve(LABEL[:rows], TRUE[:rows])
    assert sum(found["rows"]) == rows
    assert all(low <= y <= high for low, y, high in zip(found["low"], found["observed"], found["high"], strict=True))


@pytest.mark.parametrize("label", [0, 1])
def test_the_interval_of_a_share_of_none_or_all_holds_it(label: int) -> None:
    found = reliability.curve(np.full(3000, label), TRUE[:3000])
    assert all(low <= label <= high for low, high in zip(found["low"], found["high"], strict=True))


def test_nineteen_in_twenty_intervals_hold_the_true_share() -> None:
    found = reliability.curve(LABEL, TRUE)
    inside = [low <= p <= high for low, p, high in zip(found["low"], found["predicted"], found["high"], strict=True)]
    assert np.mean(inside) >= 0.85
