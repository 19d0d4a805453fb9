"""A difference is that of the figures, with the interval and p of the same draws for both models."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from tests.code.evaluation.sampled import scored
from workbench.evaluation import delong, metrics, paired, resample


def test_differences_are_those_of_the_figures_and_their_intervals_hold_them() -> None:
    one = scored(rows=2000, cards=300)
    found = paired.compared([one], resample.resampled([one], 200), "weak", "strong")
    weak, strong = (metrics.figures(one.label_N, z_N, one.time_us_N, one.card_N) for z_N in one.scores.values())
    assert set(found["figures"]) == set(metrics.NAMES)
    for name, told in found["figures"].items():
        assert told["difference"] == pytest.approx((strong[name] or 0) - (weak[name] or 0))
        assert told["interval"][0] <= told["difference"] <= told["interval"][1]
    assert found["figures"]["average_precision"]["p_value"] == pytest.approx(2 / 201), "no draw is on the other side"
    expected = delong.compared([(one.label_N, one.scores["weak"], one.scores["strong"])])
    assert found["delong"]["p_value"] == expected.p_value


def test_the_interval_of_a_difference_by_rows_is_that_of_scipys_paired_bootstrap() -> None:
    one = scored(rows=300, cards=None, levels=3)
    told = paired.compared([one], resample.resampled([one], 1000), "weak", "strong")["figures"]["average_precision"]
    expected = stats.bootstrap(
        (one.label_N, *one.scores.values()),
        lambda y, a, b: average_precision_score(y, b) - average_precision_score(y, a),
        paired=True, vectorized=False, n_resamples=300, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert told["interval"] == pytest.approx([expected.low, expected.high], abs=0.03)


def test_where_rows_are_drawn_card_precision_has_a_difference_and_no_interval() -> None:
    one = scored()
    told = paired.compared([one], resample.resampled([one], 20, by_customer=False), "weak", "strong")["figures"]
    assert told["card_precision_at_100"]["interval"] is None
    assert told["card_precision_at_100"]["difference"] is not None


def test_rows_without_a_customer_have_no_card_precision() -> None:
    one = scored(cards=None)
    found = paired.compared([one], resample.resampled([one], 20), "weak", "strong")
    assert set(found["figures"]) == {"roc_auc", "average_precision"}
    assert paired.means([one], "weak")["card_precision_at_100"] is None
