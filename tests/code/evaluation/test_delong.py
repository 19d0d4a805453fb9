"""The fast algorithm gives what the definition gives, and its p-values are uniform where two models are equal."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from tests.code.evaluation.sampled import scored
from workbench.evaluation import delong


def by_definition(label_N: np.ndarray, scores_MN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and covariance from all pairs of a positive and another row, as the paper of 1988 defines them."""
    bad, good = scores_MN[:, label_N == 1], scores_MN[:, label_N != 1]
    psi = (bad[:, :, None] > good[:, None, :]) + 0.5 * (bad[:, :, None] == good[:, None, :])
    v10, v01 = psi.mean(axis=2), psi.mean(axis=1)
    return psi.mean(axis=(1, 2)), np.cov(v10) / bad.shape[1] + np.cov(v01) / good.shape[1]


@pytest.mark.parametrize("levels", [None, 1, 3])
def test_areas_and_covariance_are_those_of_the_definition_with_ties_too(levels: int | None) -> None:
    one = scored(rows=300, levels=levels)
    scores_MN = np.stack([*one.scores.values(), np.zeros(300)])
    areas_M, covariance_MM = delong.areas(one.label_N, scores_MN)
    expected_M, expected_MM = by_definition(one.label_N, scores_MN)
    assert areas_M == pytest.approx(expected_M, abs=1e-12)
    assert covariance_MM == pytest.approx(expected_MM, abs=1e-12)
    assert areas_M == pytest.approx([roc_auc_score(one.label_N, score_N) for score_N in scores_MN])


def test_the_difference_has_the_variance_of_a_difference_and_a_normal_p_value() -> None:
    one = scored(rows=300)
    found = delong.compared([(one.label_N, *one.scores.values())])
    areas_M, c_MM = by_definition(one.label_N, np.stack(list(one.scores.values())))
    assert found.difference == pytest.approx(areas_M[1] - areas_M[0])
    assert found.variance == pytest.approx(c_MM[0, 0] + c_MM[1, 1] - 2 * c_MM[0, 1])
    assert found.p_value is not None
    assert 0 < found.p_value < 0.01


def test_p_values_of_equally_good_models_are_uniform_and_variances_those_of_repeated_samples() -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        label_N = (random.random(200) < 0.3).astype(int)
        shared = random.normal(0, 1, 200) + label_N
        found.append(delong.compared([(label_N, *(shared + random.normal(0, 1, (2, 200))))]))
    assert kstest([one.p_value for one in found], "uniform").pvalue > 0.01
    spread = np.var([one.difference for one in found])
    assert np.mean([one.variance for one in found]) == pytest.approx(spread, rel=0.15)  # type: ignore[type-var]


def test_of_several_folds_the_mean_difference_is_tested() -> None:
    folds = [(one.label_N, *one.scores.values()) for one in (scored(seed=seed) for seed in range(4))]
    apart, together = [delong.compared([fold]) for fold in folds], delong.compared(folds)
    assert together.difference == pytest.approx(np.mean([one.difference for one in apart]))
    assert together.variance == pytest.approx(sum(one.variance or 0 for one in apart) / 16)


def test_a_model_beside_itself_differs_by_nothing() -> None:
    one = scored()
    found = delong.compared([(one.label_N, one.scores["weak"], 3 * one.scores["weak"] - 1)])
    assert (found.difference, found.p_value) == (0, 1)


def test_a_single_positive_row_has_no_variance_and_so_no_p_value() -> None:
    label_N = np.array([1, 0, 0, 0])
    found = delong.compared([(label_N, np.array([1.0, 2, 0, 0]), np.array([3.0, 2, 0, 0]))])
    assert found.difference == pytest.approx(1 / 3)
    assert (found.variance, found.p_value) == (None, None)


def test_a_million_rows_take_seconds_and_not_hours() -> None:
    random = np.random.default_rng(0)
    label_N = (random.random(1_000_000) < 0.3).astype(int)
    areas_M, _ = delong.areas(label_N, label_N + random.normal(0, 1, (2, 1_000_000)))
    assert areas_M == pytest.approx([0.76, 0.76], abs=0.01)
