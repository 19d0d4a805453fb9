"""Drawn figures are those of the drawn rows, and intervals cover what they should."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.code.evaluation.sampled import DAY, scored
from workbench.errors import InputError
from workbench.evaluation import metrics, resample
from workbench.evaluation.scored import Scored


def repeated(one: Scored, count_U: np.ndarray, unit_N: np.ndarray) -> Scored:
    """The rows as often as their unit was drawn; each copy of a customer is a customer of its own."""
    times_N = count_U[unit_N].astype(int)
    again = one.rows(np.repeat(np.arange(len(one)), times_N))
    copy = np.concatenate([np.arange(n) for n in times_N])
    assert again.card_N is not None
    return Scored(
        again.fold, again.id_N, again.label_N, again.time_us_N, again.card_N + 1000 * copy, again.scores, again.flagged
    )


@pytest.mark.parametrize(("levels", "seed"), [(None, 0), (2, 1), (1, 2)])
def test_figures_of_drawn_customers_are_those_of_their_rows_with_ties_too(levels: int | None, seed: int) -> None:
    one = scored(rows=400, cards=30, levels=levels, seed=seed)
    found = resample.resampled([one], 25, seed=3)
    drawn_SU = np.random.default_rng(3).integers(0, 30, (25, 30))
    for s, drawn_U in enumerate(drawn_SU):
        again = repeated(one, np.bincount(drawn_U, minlength=30), one.card_N)
        for model, score_N in again.scores.items():
            values = {name: values_S[s] for name, values_S in found[model].items()}
            assert values["roc_auc"] == pytest.approx(roc_auc_score(again.label_N, score_N))
            assert values["average_precision"] == pytest.approx(average_precision_score(again.label_N, score_N))
            assert values["recall_at_threshold"] == pytest.approx(again.flagged[model][again.label_N == 1].mean())


@pytest.mark.parametrize("k", [1, 3, 7])
def test_card_precision_of_drawn_customers_is_that_of_their_rows(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = scored(rows=300, cards=60, share=0.1)
    capacity = resample.Capacity(one, one.scores["strong"], one.card_N)
    count_US = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), 20).T.astype(float)
    found_S = capacity.precision(count_US, k)
    for s in range(20):
        again = repeated(one, count_US[:, s], one.card_N)
        expected = metrics.card_precision(again.label_N, again.scores["strong"], again.time_us_N, again.card_N, k)
        assert found_S[s] == pytest.approx(expected)


def test_a_draw_of_every_customer_once_gives_the_evaluations_own_card_precision() -> None:
    one = scored(rows=3000, cards=900, share=0.05)
    found_S = resample.Capacity(one, one.scores["weak"], one.card_N).precision(np.ones((900, 1)))
    expected = metrics.card_precision(one.label_N, one.scores["weak"], one.time_us_N, one.card_N)
    assert found_S[0] == pytest.approx(expected)


def test_rows_are_drawn_where_there_are_no_customers_and_there_is_no_card_precision() -> None:
    one = scored(cards=None, levels=4)
    found = resample.resampled([one], 10, seed=1)
    assert set(found["weak"]) == {"roc_auc", "average_precision", "recall_at_threshold"}
    for s, drawn_N in enumerate(np.random.default_rng(1).integers(0, 600, (10, 600))):
        expected = average_precision_score(one.label_N[drawn_N], one.scores["weak"][drawn_N])
        assert found["weak"]["average_precision"][s] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_intervals_by_rows_are_those_of_scipys_bootstrap(metric: str) -> None:
    one = scored(rows=400, cards=None)
    oracle = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}[metric]
    expected = stats.bootstrap(
        (one.label_N, one.scores["strong"]), oracle, paired=True, vectorized=False,
        n_resamples=300, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    found = resample.interval(resample.resampled([one], 1000)["strong"][metric])
    assert found == pytest.approx([expected.low, expected.high], abs=0.02)


def test_intervals_by_customers_are_wider_where_a_customers_rows_are_alike() -> None:
    random = np.random.default_rng(0)
    card_N = np.repeat(np.arange(60), 20)
    label_N = (random.random(60) < 0.4)[card_N].astype(int)
    score_N = (label_N[::20] + random.normal(0, 1, 60))[card_N] + random.normal(0, 0.01, 1200)
    one = Scored("test", np.arange(1200), label_N, np.zeros(1200, int), card_N, {"m": score_N})
    widths = [np.ptp(resample.interval(resample.resampled([one], 300, by)["m"]["roc_auc"])) for by in (True, False)]
    assert widths[0] > 2.5 * widths[1]


def test_all_models_see_the_same_draws_so_that_a_difference_is_paired() -> None:
    one = scored()
    twice = Scored(
        "test", one.id_N, one.label_N, one.time_us_N, one.card_N, {"a": one.scores["weak"], "b": 2 * one.scores["weak"]}
    )
    found = resample.resampled([twice], 50)
    for name in ("roc_auc", "average_precision", "card_precision_at_100"):
        assert np.array_equal(found["a"][name], found["b"][name])
    assert resample.p_value(found["a"]["roc_auc"] - found["b"]["roc_auc"]) == 1


def test_a_customer_of_several_folds_is_drawn_in_all_of_them_at_once() -> None:
    one = scored(rows=200, cards=20)
    single, double = resample.resampled([one], 40), resample.resampled([one, one], 40)
    assert double["weak"]["roc_auc"] == pytest.approx(single["weak"]["roc_auc"])


def test_the_number_of_draws_held_at_once_changes_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = scored()
    whole = resample.resampled([one], 30)
    monkeypatch.setattr(resample, "CELLS", 5000)
    parts = resample.resampled([one], 30)
    assert np.array_equal(whole["weak"]["roc_auc"], parts["weak"]["roc_auc"])


def test_draws_of_one_class_are_drawn_again_and_rows_of_one_class_are_refused() -> None:
    few = Scored("test", np.arange(4), np.array([1, 0, 0, 0]), np.zeros(4, int), None, {"m": np.array([2.0, 1, 0, 0])})
    found = resample.resampled([few], 200)["m"]["roc_auc"]
    assert np.array_equal(found, np.ones(200))
    none = Scored("test", np.arange(4), np.zeros(4, int), np.zeros(4, int), None, {"m": np.arange(4.0)})
    with pytest.raises(InputError, match="one class"):
        resample.resampled([none], 20)


def test_p_values_count_the_draws_on_the_other_side_of_nothing() -> None:
    assert resample.p_value(np.linspace(0.1, 1, 99)) == pytest.approx(0.02)
    assert resample.p_value(np.r_[-np.ones(4), np.ones(95)]) == pytest.approx(0.1)
    assert resample.p_value(np.zeros(99)) == 1


def test_days_of_the_samples_are_several() -> None:
    assert len(np.unique(scored().time_us_N // DAY)) == 4
