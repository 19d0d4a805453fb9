"""The least that a model must do: rank far better than chance, catch the simple fraud, mean what it says, not break.

The held-out rows are those of all days from the first judged one on: 54 days of the loop at smoke size.
"""

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.model.shipped import Array, Model, Shipped
from workbench.errors import InputError
from workbench.evaluation import metrics

pytestmark = pytest.mark.slow
LARGEST = 10_000_000  # the greatest amount that the contract lets through


def test_the_rows_are_enough_and_trained_nobody(shipped: Shipped) -> None:
    times, split = shipped.held_out[shipped.cfg.data.event_time], shipped.cfg.data.split
    assert str(pc.min(times).as_py().date()) == "2018-08-08"
    assert (str(split.train_start), split.train_days, split.delay_days) == ("2018-07-25", 7, 7)
    assert len(shipped.label_N) > 20_000
    assert 0.1 < shipped.label_N.mean() < 0.25, "few terminals: frauds are much denser than in the whole benchmark"


def test_held_out_frauds_rank_far_above_chance_and_above_the_amount_alone(shipped: Shipped, model: Model) -> None:
    found = metrics.average_precision(shipped.label_N, model.scores.logit_N)
    amount = metrics.average_precision(shipped.label_N, shipped.column("amount_minor"))
    assert found > 3 * shipped.label_N.mean()
    assert found > 1.5 * amount


def scenario(shipped: Shipped, name: str) -> Array:
    """Which held-out rows are frauds of this scenario."""
    ledger, id_column = shipped.ledger, shipped.cfg.data.id
    ids = ledger.filter(pc.equal(ledger["scenario"], name))[id_column].combine_chunks()
    return pc.is_in(shipped.held_out[id_column], ids).to_numpy()


def test_the_simplest_fraud_is_above_nearly_all_genuine_payments(shipped: Shipped) -> None:
    """The first scenario: every amount above 220 is one. Trees find such a limit, and the loop must ship them."""
    simple, score_N = scenario(shipped, "1"), shipped.models["shipped"].scores.score_N
    assert (shipped.column("amount_minor")[simple] > 22_000).all()
    assert simple.sum() >= 10
    assert score_N[simple].min() > np.quantile(score_N[shipped.label_N == 0], 0.99)


def test_mean_scores_are_the_base_rate_within_a_third(shipped: Shipped, model: Model) -> None:
    ratio = model.scores.score_N.mean() / shipped.label_N.mean()
    assert 3 / 4 < ratio < 4 / 3


def test_a_higher_score_means_more_frauds(shipped: Shipped, model: Model) -> None:
    """In fifths of the held-out rows by score: the share of frauds in the last is five times that in the first."""
    fifths = np.array_split(shipped.label_N[np.argsort(model.scores.logit_N, kind="stable")], 5)
    assert fifths[4].mean() > 5 * fifths[0].mean()


@pytest.mark.parametrize("value", [0, 1, LARGEST, 1e12, float(np.finfo(np.float32).max)])
def test_extreme_values_give_probabilities(shipped: Shipped, model: Model, value: float) -> None:
    rows = np.repeat(shipped.x_NF[:50], shipped.width + 1, axis=0).reshape(50, shipped.width + 1, shipped.width)
    for feature in range(shipped.width):
        rows[:, feature, feature] = value  # one after the other
    rows[:, shipped.width] = value  # and all at once
    score_N = model.scorer.score(rows.reshape(-1, shipped.width)).score_N
    assert np.isfinite(score_N).all()
    assert (score_N >= 0).all()
    assert (score_N <= 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_wherever_it_is(shipped: Shipped, model: Model, value: float) -> None:
    for feature in range(shipped.width):
        rows = shipped.x_NF[:3].copy()
        rows[1, feature] = value
        with pytest.raises(InputError, match="NaN or infinite"):
            model.scorer.score(rows)
