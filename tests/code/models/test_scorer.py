"""Any number of rows is scored alike, and features that mean nothing are refused."""

import numpy as np
import pytest

from tests.code.models.linear import member
from workbench.errors import InputError
from workbench.models import graph, scorer
from workbench.models.scorer import Scorer

WIDTH = 3
LINEAR = Scorer(graph.merge({"a": member([1.0, 2.0, 3.0]), "b": member([0.0, 0.0, 1.0])}, [0.5, 0.5], 0.0, WIDTH))


def test_no_rows_have_no_scores() -> None:
    scores = LINEAR.score(np.zeros((0, WIDTH)))
    assert (scores.score_N.shape, scores.logit_N.shape, scores.member_logits_NM.shape) == ((0,), (0,), (0, 2))


def test_rows_keep_their_order_over_the_borders_of_parts() -> None:
    x_NF = np.zeros((2 * scorer.ROWS + 1, WIDTH), np.float32)
    x_NF[:, 0] = np.arange(len(x_NF))
    np.testing.assert_array_equal(LINEAR.score(x_NF).logit_N, np.arange(len(x_NF)) / 2)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64, np.uint8, bool])
def test_every_type_of_number_scores_the_same(kind: type) -> None:
    x_NF = np.array([[1, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(LINEAR.score(x_NF.astype(kind)).logit_N, [2.5, 3.0])


def test_columns_that_lie_apart_in_memory_score_as_those_that_do_not() -> None:
    x_NF = np.random.default_rng(0).normal(0, 1, (20, 2 * WIDTH)).astype(np.float32)[:, ::2]
    np.testing.assert_array_equal(LINEAR.score(x_NF).logit_N, LINEAR.score(np.ascontiguousarray(x_NF)).logit_N)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, scorer.ROWS, scorer.ROWS + 1])
def test_one_value_that_is_no_number_refuses_all_rows(value: float, row: int) -> None:
    x_NF = np.zeros((scorer.ROWS + 2, WIDTH), np.float32)
    x_NF[row, 1] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        LINEAR.score(x_NF)


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH - 1), (1, WIDTH + 1), (1, 1, WIDTH), (0, 0)])
def test_features_of_another_shape_are_refused_by_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"do not fit a model of 3 features") as caught:
        LINEAR.score(np.zeros(shape))
    assert str(shape) in str(caught.value)


def test_extreme_log_odds_are_certain_and_stay_numbers() -> None:
    scores = LINEAR.score(np.array([[3e37, 0, 0], [-3e37, 0, 0]]))
    assert scores.score_N.tolist() == [1.0, 0.0]
    assert np.isfinite(scores.logit_N).all()


def test_one_row_gives_plain_numbers_for_an_answer() -> None:
    score, members = LINEAR.one([1.0, 0.0, 1.0])
    assert (type(score), [type(one) for one in members]) == (float, [float, float])
    assert score == pytest.approx(1 / (1 + np.exp(-2.5)), abs=1e-6)
    assert members == [4.0, 1.0]


def test_a_scorer_knows_its_width() -> None:
    assert LINEAR.features == WIDTH
