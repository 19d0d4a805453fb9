"""What should make a payment more suspicious does, in pairs of real rows of which one thing was changed.

A claim holds when the log-odds rise on average by more than four standard errors of the pairs' mean, and in most pairs.
"""

import numpy as np
import pytest

from tests.model.shipped import Array, Model, Shipped

pytestmark = pytest.mark.slow
PAIRS = 2000
RANDOM = np.random.default_rng(0)


def check_rise(model: Model, before_NF: Array, after_NF: Array, in_pairs: float) -> None:
    """The log-odds rise: on average beyond chance, and in this share of the pairs at least."""
    rise_N = model.scorer.score(after_NF).logit_N - model.scorer.score(before_NF).logit_N
    assert rise_N.mean() > 4 * rise_N.std() / np.sqrt(len(rise_N)), f"mean rise {rise_N.mean():.3f}"
    assert (rise_N > 0).mean() >= in_pairs, f"only {(rise_N > 0).mean():.0%} of the pairs rise"


def sampled(shipped: Shipped, rows_N: Array) -> Array:
    """As many of the chosen held-out rows as there are pairs, drawn with replacement."""
    assert rows_N.sum() > 1000, "enough different rows for the margin to mean something"
    return shipped.x_NF[RANDOM.choice(np.flatnonzero(rows_N), PAIRS)]


def test_a_terminal_with_many_known_frauds_raises_the_score(shipped: Shipped, model: Model) -> None:
    """The payment stays; what is known of its terminal becomes what was known of a really compromised one."""
    calm = sampled(shipped, shipped.column("terminal_risk_30d") == 0)
    compromised = sampled(shipped, shipped.column("terminal_risk_7d") >= 0.5)
    of_terminal = [name.startswith("terminal_") for name in shipped.names]
    check_rise(model, calm, np.where(of_terminal, compromised, calm), in_pairs=0.85)


def test_five_times_the_customers_usual_amount_raises_the_score(shipped: Shipped, model: Model) -> None:
    """The benchmark's third scenario: the details of a card have leaked, and what it pays is multiplied by five."""
    usual = sampled(shipped, shipped.column("customer_count_30d") > 5)
    usual[:, shipped.names.index("amount_minor")] = usual[:, shipped.names.index("customer_mean_amount_30d")]
    above = usual.copy()
    above[:, shipped.names.index("amount_minor")] *= 5
    check_rise(model, usual, above, in_pairs=0.85)
