"""What must not matter to a score does not: company, order, repetition, and what customers and terminals are called."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.model.shipped import Model, Shipped
from workbench.models.scorer import ROWS

pytestmark = pytest.mark.slow
RANDOM = np.random.default_rng(0)
SAME = {"rtol": 0, "atol": 1e-6}  # probabilities: what float32 sums in another order may differ by


def test_the_order_of_the_rows_does_not_matter(model: Model) -> None:
    order = RANDOM.permutation(len(model.x_NF))
    np.testing.assert_allclose(model.scorer.score(model.x_NF[order]).score_N, model.scores.score_N[order], **SAME)


@pytest.mark.parametrize("size", [1, 7, 390])
def test_the_number_of_rows_beside_it_does_not_matter(model: Model, size: int) -> None:
    rows = range(ROWS - 195, ROWS + 195)  # on both sides of where a scorer begins anew
    parts = [model.scorer.score(model.x_NF[rows[start : start + size]]).score_N for start in range(0, 390, size)]
    np.testing.assert_allclose(np.concatenate(parts), model.scores.score_N[rows], **SAME)


def test_the_endpoints_path_gives_the_score_of_evaluation(model: Model) -> None:
    chosen = RANDOM.choice(len(model.x_NF), 300, replace=False)
    found = [model.scorer.one(row.tolist())[0] for row in model.x_NF[chosen]]
    np.testing.assert_allclose(found, model.scores.score_N[chosen], **SAME)


def test_a_row_that_comes_thrice_scores_thrice_the_same(model: Model) -> None:
    found = model.scorer.score(np.repeat(model.x_NF[:1000], 3, axis=0)).score_N.reshape(1000, 3)
    np.testing.assert_allclose(found, np.repeat(model.scores.score_N[:1000, None], 3, axis=1), **SAME)
    assert len(np.unique(found)) > 100, "and it is no constant"


def renamed(names: pa.ChunkedArray) -> pa.Array:
    """Other names, one for one: neither the order nor the size of the old ones is left."""
    known = pc.unique(names)
    new = RANDOM.choice(2**40, len(known), replace=False)
    return pa.array(new[pc.index_in(names, value_set=known).to_numpy()])


def test_customers_and_terminals_under_other_names_have_the_same_features(shipped: Shipped) -> None:
    events = shipped.events
    for entity in shipped.cfg.data.entities:
        events = events.set_column(events.column_names.index(entity), entity, renamed(events[entity]))
        assert events[entity] != shipped.events[entity]
    since = pc.min(shipped.held_out[shipped.cfg.data.event_time])
    judged = pc.greater_equal(events[shipped.cfg.data.event_time], since).to_numpy()
    for name, values in shipped.computed(events, shipped.ledger).items():
        np.testing.assert_array_equal(values[judged], shipped.held_out[name].to_numpy(), err_msg=name)
