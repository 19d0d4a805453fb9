"""Nothing of an event's own label reaches its features: told by labels that mean nothing, and by labels told later."""

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray

from tests.model.shipped import Shipped, trees
from workbench.data.labels import TIME
from workbench.evaluation import metrics
from workbench.models import native

pytestmark = pytest.mark.slow
RANDOM = np.random.default_rng(0)
HELD_OUT = 30_000  # the last rows, which judge


def judged(shipped: Shipped, ledger: pa.Table) -> float:
    """ROC AUC on the held-out rows of trees that were trained and are judged by this ledger."""
    x_NF = np.stack(list(shipped.computed(shipped.events, ledger).values()), axis=1)
    assert ledger[shipped.cfg.data.id] == shipped.events[shipped.cfg.data.id], "a label for each row, in their order"
    y_N, alone = ledger["label"].to_numpy(), ray.remote(max_calls=1)(trees)
    config = dataclasses.replace(shipped.cfg.train.xgboost, max_bin=256)
    (model,) = ray.get(alone.remote(x_NF[:-HELD_OUT], y_N[:-HELD_OUT], config))
    logit_N = native.logits({"xgboost": model}, x_NF[-HELD_OUT:])["xgboost"]
    return metrics.roc_auc(y_N[-HELD_OUT:], logit_N)


@pytest.mark.usefixtures("ray_session")
def test_labels_that_mean_nothing_cannot_be_learnt(shipped: Shipped) -> None:
    """Each event gets the label of another one: what would still be predicted came from the label itself.

    The standard error of an AUC of nothing, with so many rows of each class, is below .005.
    """
    ledger = shipped.ledger.sort_by(shipped.cfg.data.id)
    assert judged(shipped, ledger) > 0.8, "the same trees do learn what the labels mean"
    label = ledger.column_names.index("label")
    shuffled = ledger.set_column(label, "label", ledger["label"].take(pa.array(RANDOM.permutation(ledger.num_rows))))
    assert abs(judged(shipped, shuffled) - 0.5) < 0.02


def test_what_is_told_later_changes_no_feature_of_before(shipped: Shipped) -> None:
    """Every label that became known after a moment in summer is turned round: only events after it notice."""
    moment = pa.scalar(dt.datetime(2018, 7, 20, 12, tzinfo=dt.UTC), TIME)
    later = pc.greater(shipped.ledger["known_time"], moment)
    told = pc.if_else(later, pc.subtract(1, shipped.ledger["label"]), shipped.ledger["label"]).cast(pa.int8())
    turned = shipped.ledger.set_column(shipped.ledger.column_names.index("label"), "label", told)
    before = pc.less_equal(shipped.events[shipped.cfg.data.event_time], moment).to_numpy()
    assert 10_000 < before.sum() < len(before) - 10_000
    changed = set()
    expected = shipped.computed(shipped.events, shipped.ledger)
    for name, values in shipped.computed(shipped.events, turned).items():
        np.testing.assert_array_equal(values[before], expected[name][before], err_msg=name)
        changed |= {name} if (values != expected[name]).any() else set()
    assert changed == {name for name in shipped.names if "risk" in name}, "and they do notice"


def test_what_happens_later_changes_no_feature_of_before(shipped: Shipped) -> None:
    whole = shipped.computed(shipped.events, shipped.ledger)
    kept = shipped.events.slice(0, shipped.events.num_rows // 2)
    for name, values in shipped.computed(kept, shipped.ledger).items():
        np.testing.assert_array_equal(values, whole[name][: kept.num_rows], err_msg=name)
