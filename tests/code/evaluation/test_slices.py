"""Slices hold the rows that they name, figures are those of these rows alone, and small ones say nothing."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.code.evaluation.sampled import DAY, scored
from workbench.evaluation import slices
from workbench.evaluation.context import Context
from workbench.evaluation.settings import SlicesConfig

ROWS = scored(rows=2000, cards=200)
RANDOM = np.random.default_rng(5)
AMOUNT_N = RANDOM.integers(1, 30_000, 2000).astype(float)
AGE_N = RANDOM.integers(0, 100, 2000) * DAY
SCENARIO_N = np.where(ROWS.label_N == 1, RANDOM.choice(["1", "2", ""], 2000, p=[0.9, 0.05, 0.05]), "").astype(object)
KNOWN = Context(AMOUNT_N, AGE_N, SCENARIO_N)


def named(of: str, known: Context = KNOWN, **keys: object) -> dict[str, np.ndarray]:
    found = slices.cut(ROWS, known, SlicesConfig(**keys), money=True)  # type: ignore[arg-type]
    return {one.name: one.chosen_N for one in found if one.of == of}


@pytest.mark.parametrize("of", ["amount", "hour", "age"])
def test_every_row_lies_in_one_slice_of_a_kind(of: str) -> None:
    assert np.array_equal(np.sum(list(named(of).values()), axis=0), np.ones(2000))


def test_bands_of_the_amount_are_those_that_were_asked_for_and_written_as_money() -> None:
    found = named("amount", amount_bands=[1000.0, 22_000.0])
    assert list(found) == ["up to 10.00", "10.00 to 220.00", "above 220.00"]
    assert np.array_equal(found["10.00 to 220.00"], (AMOUNT_N > 1000) & (AMOUNT_N <= 22_000))


def test_bands_of_the_amount_hold_about_a_fifth_of_the_rows_where_nobody_says() -> None:
    assert [chosen_N.mean() for chosen_N in named("amount").values()] == pytest.approx(
        [0.2, 0.2, 0.2, 0.2, 0.15, 0.05], abs=0.01
    )


def test_hours_are_of_the_day_in_utc_and_ages_begin_with_the_first_event() -> None:
    assert list(named("hour", hours=8)) == ["00:00 to 08:00", "08:00 to 16:00", "16:00 to 24:00"]
    found = named("age", age_days=[7.0])
    assert np.array_equal(found["up to 7 days"], AGE_N <= 7 * DAY)


def test_a_scenario_stands_beside_all_good_rows_and_frauds_without_one_in_none() -> None:
    found = named("scenario")
    assert list(found) == ["1", "2"]
    assert np.array_equal(found["1"], (ROWS.label_N == 0) | (SCENARIO_N == "1"))


def test_what_the_data_does_not_know_has_no_slices() -> None:
    found = slices.cut(ROWS, Context(None, None, None), SlicesConfig(), money=False)
    assert {one.of for one in found} == {"hour"}


def test_figures_are_those_of_the_slices_rows_with_intervals_that_hold_them() -> None:
    cfg = SlicesConfig(minimum=20, samples=60)
    parts = slices.cut(ROWS, KNOWN, cfg, money=True)
    for one, part in zip(slices.judged(ROWS, parts, cfg, True), parts, strict=True):
        own = ROWS.rows(part.chosen_N)
        assert (one["rows"], one["positives"]) == (len(own), own.positives)
        assert one["small"] == (min(own.positives, len(own) - own.positives) < 20)
        if one["small"]:
            assert one["models"] == {}
            continue
        for model, told in one["models"].items():
            expected = {
                "roc_auc": roc_auc_score(own.label_N, own.scores[model]),
                "average_precision": average_precision_score(own.label_N, own.scores[model]),
                "recall_at_threshold": own.flagged[model][own.label_N == 1].mean(),
            }
            assert {name: one["value"] for name, one in told.items()} == pytest.approx(expected)
            for figure in told.values():
                assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]


def test_some_slice_of_these_tests_is_small() -> None:
    found = slices.judged(
        ROWS, slices.cut(ROWS, KNOWN, SlicesConfig(minimum=20), True), SlicesConfig(minimum=20, samples=5), True
    )
    assert {one["small"] for one in found} == {True, False}
