"""A fit survives its file, and its quality is what scikit-learn says."""

import io
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score

from workbench.training.fits import Fit, Fitted, average_precision, best_step

LABELLED = st.integers(1, 120).flatmap(
    lambda rows: st.tuples(
        arrays.arrays(np.int64, rows, elements=st.integers(0, 1)).filter(np.any),
        st.one_of(
            arrays.arrays(np.int64, rows, elements=st.integers(-3, 3)),  # most rows tie
            arrays.arrays(np.float32, rows, elements=st.floats(-50, 50, width=32)),
        ),
    )
)


@settings(deadline=None)
@given(LABELLED)
def test_average_precision_is_scikit_learns_however_many_scores_tie(case: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = case
    expected = average_precision_score(label, score)
    assert average_precision(label.astype(np.float32), score) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(LABELLED, st.randoms(use_true_random=False))
def test_average_precision_does_not_depend_on_the_order_of_the_rows(
    case: tuple[np.ndarray, np.ndarray], random: Random
) -> None:
    label, score = case
    order = list(range(len(label)))
    random.shuffle(order)
    assert average_precision(label[order], score[order]) == pytest.approx(average_precision(label, score), abs=1e-12)


def test_average_precision_of_a_perfect_a_constant_and_a_reversed_score() -> None:
    label = np.array([1, 1, 0, 0, 0, 0, 0, 0])
    assert average_precision(label, label.astype(float)) == 1
    assert average_precision(label, np.zeros(8)) == 2 / 8
    assert average_precision(label, -label.astype(float)) == 2 / 8


def test_average_precision_without_positives_is_nothing() -> None:
    assert average_precision(np.zeros(5), np.arange(5.0)) == 0


def fitted(*quality: float) -> Fitted:
    """A fit that was scored at steps 10, 20, ..."""
    steps = [10 * (place + 1) for place in range(len(quality))]
    scores = [np.full(3, one, np.float32) for one in quality]
    return Fitted(steps, list(quality), [1 / step for step in steps], scores, b"native\x00", b"graph")


@pytest.mark.parametrize("one", [Fitted(), fitted(0.5), fitted(0.1, 0.30000000000000004, 1 / 3)])
def test_a_fit_comes_back_from_its_file_to_the_last_bit(one: Fitted) -> None:
    back = Fitted.from_bytes(one.to_bytes())
    np.testing.assert_array_equal(np.array(back.logits_SN), np.array(one.logits_SN))
    back.logits_SN = one.logits_SN
    assert back == one


def test_a_restored_fit_can_go_on() -> None:
    back = Fitted.from_bytes(fitted(0.1, 0.2).to_bytes())
    back.steps.append(30)
    back.logits_SN.append(np.zeros(3, np.float32))
    assert Fitted.from_bytes(back.to_bytes()).steps == [10, 20, 30]


def test_a_file_with_code_in_it_is_not_run() -> None:
    sink = io.BytesIO()
    np.savez(sink, numbers=np.array([object()]), model=np.zeros(0), onnx=np.zeros(0), logits=np.zeros(0))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Fitted.from_bytes(sink.getvalue())


def test_the_best_step_is_best_on_the_mean_of_the_selecting_fits() -> None:
    assert best_step([fitted(0.9, 0.6, 0.1), fitted(0.1, 0.6, 0.8)]) == 20


def test_of_equally_good_steps_the_first_is_taken() -> None:
    assert best_step([fitted(0.2, 0.7, 0.7)]) == 20


def test_fits_of_a_fold_are_told_apart_by_their_seed() -> None:
    assert {Fit("test", seed, selects=False).name for seed in (0, 1)} == {"test-seed0", "test-seed1"}
