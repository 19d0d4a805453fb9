"""The points of a curve are its own, lie evenly along it and keep what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from workbench.evaluation import curves


def scores(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    label = (random.random(rows) < 0.1).astype(np.int8)
    return label, 2.0 * label - 3 + random.normal(0, 1, (2, rows))[1].astype(np.float32)


class TestThinning:
    def test_keeps_the_ends_and_takes_only_points_of_the_curve(self) -> None:
        x, y, _ = roc_curve(*scores())
        thin = curves.thinned(x, y)
        assert len(thin) <= curves.POINTS
        assert (thin[0], thin[-1]) == ((0, 0), (1, 1))
        assert set(thin) <= {(round(float(a), 5), round(float(b), 5)) for a, b in zip(x, y, strict=True)}

    def test_the_area_below_the_thinned_curve_is_the_area_below_the_curve(self) -> None:
        x, y = np.array(curves.roc(*scores())).T
        assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(*scores()), abs=1e-3)

    def test_the_steep_end_of_precision_and_recall_is_kept(self) -> None:
        x, _ = np.array(curves.precision_recall(*scores())).T
        assert np.abs(np.diff(x)).max() < 0.02

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
    @settings(max_examples=50, deadline=None)
    def test_of_any_curve_the_order_of_its_points_stays(self, points: list[tuple[int, int]]) -> None:
        x, y = np.array(points, float).T
        found, rest = curves.thinned(x, y), iter(points)
        assert found[0] == points[0]
        assert all(one in rest for one in found), "each is found after the one before it"


def test_groups_of_a_calibrated_model_lie_on_the_diagonal() -> None:
    random = np.random.default_rng(0)
    probability = random.beta(1, 20, 200_000)
    label = (random.random(200_000) < probability).astype(int)
    predicted, observed = np.array(curves.calibration(label, np.log(probability / (1 - probability)))).T
    assert len(predicted) == 8
    assert observed == pytest.approx(predicted, rel=0.15)
