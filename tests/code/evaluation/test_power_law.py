"""A law is found again where there is one, and its interval covers what more rows would give."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from workbench.evaluation import power_law

ROWS_P = np.array([1000, 2000, 4000, 8000, 16000])


def law(rows: np.ndarray, limit: float = 0.75, factor: float = 3.0, power: float = 0.5) -> np.ndarray:
    return limit - factor * rows**-power


def test_a_law_without_noise_is_found_again() -> None:
    found = power_law.fitted(ROWS_P, law(ROWS_P.astype(float)))
    assert (found.limit[0], found.power[0]) == pytest.approx((0.75, 0.5), rel=0.05)
    assert found.at(64_000.0)[0] == pytest.approx(law(np.array(64_000.0)), abs=1e-3)


def test_the_fit_is_as_close_as_scipys() -> None:
    value_P = law(ROWS_P.astype(float)) + np.array([0.004, -0.003, 0.002, -0.002, 0.001])
    best, _ = curve_fit(law, ROWS_P.astype(float), value_P, p0=[0.7, 2, 0.5], bounds=([0, 0, 0.05], [1, 100, 2]))
    ours = np.square(power_law.fitted(ROWS_P, value_P).at(ROWS_P)[0] - value_P).sum()
    assert ours == pytest.approx(np.square(law(ROWS_P.astype(float), *best) - value_P).sum(), rel=0.02)


def test_a_curve_that_falls_is_taken_for_one_that_is_flat_and_none_passes_1() -> None:
    falling = power_law.fitted(ROWS_P, np.array([0.7, 0.69, 0.68, 0.67, 0.66]))
    assert falling.at(1e6)[0] == pytest.approx(0.68)
    steep = power_law.fitted(ROWS_P, np.array([0.1, 0.3, 0.6, 0.8, 0.99]))
    assert steep.limit[0] <= 1


def test_each_draw_has_a_law_of_its_own() -> None:
    value_SP = np.stack([law(ROWS_P.astype(float), limit=limit) for limit in (0.7, 0.8)])
    both = power_law.fitted(ROWS_P, value_SP)
    apart = [power_law.fitted(ROWS_P, one).at(ROWS_P)[0] for one in value_SP]
    assert both.at(ROWS_P) == pytest.approx(np.stack(apart))


def test_nine_of_ten_intervals_hold_what_more_rows_give() -> None:
    random, held = np.random.default_rng(0), 0
    for seed in range(60):
        level, noise_P = random.normal(0, 0.01), random.normal(0, 0.004, 5)
        value_P = law(ROWS_P.astype(float)) + level + noise_P
        value_SP = value_P + random.normal(0, 0.01, (200, 1))  # the chance of the scored rows is common to all points
        low, high = np.quantile(power_law.drawn(ROWS_P, value_P, value_SP, seed).at(32_000.0), [0.025, 0.975])
        held += low <= law(np.array(32_000.0)) <= high
    assert held >= 54
