"""The logistic regression is at the optimum that its limits allow, and hears folds alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from workbench.training import logistic

Rows = tuple[np.ndarray, np.ndarray]


def rows(seed: int, members: int = 3, size: int = 400) -> Rows:
    random = np.random.default_rng(seed)
    label = (random.random(size) < 0.3).astype(float)
    return label, label[:, None] * random.uniform(-1, 2, members) + random.normal(0, 1, (size, members))


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_no_slope_is_negative_and_no_step_leads_further_down(seed: int) -> None:
    folds = [rows(seed), rows(seed + 1)]
    intercept, slope = logistic.non_negative(folds)
    _, gradient = logistic._loss(np.append(intercept, slope), folds)
    assert slope.min() >= 0
    assert abs(gradient[0]) < 1e-4
    assert np.abs(gradient[1:][slope > 1e-6]).max(initial=0) < 1e-4
    assert gradient[1:][slope <= 1e-6].min(initial=0) > -1e-4, "at the limit it only gets worse inside"


def test_where_no_limit_is_met_it_is_the_plain_regression() -> None:
    random = np.random.default_rng(0)
    label = (random.random(2000) < 0.3).astype(float)
    logits = label[:, None] * [1.0, 2.0] + random.normal(0, 1, (2000, 2))
    plain = LogisticRegression(C=1e6).fit(logits, label)
    intercept, slope = logistic.non_negative([(label, logits)])
    np.testing.assert_allclose(slope, plain.coef_[0], atol=1e-2)
    assert intercept == pytest.approx(plain.intercept_[0], abs=1e-2)


def test_folds_are_heard_alike_whatever_their_size() -> None:
    label, logits = rows(3)
    other = rows(4)
    large = (np.tile(label, 5), np.tile(logits, (5, 1)))
    first, second = logistic.non_negative([large, other]), logistic.non_negative([(label, logits), other])
    np.testing.assert_allclose(first[1], second[1], atol=1e-4)


def test_classes_that_can_be_told_apart_leave_finite_slopes() -> None:
    label = np.array([0.0, 0.0, 1.0, 1.0])
    _, slope = logistic.non_negative([(label, label[:, None] * 10)])
    assert np.isfinite(slope).all()
