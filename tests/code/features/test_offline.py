"""The kernel gives what brute force gives, exactly, whatever is late, tied, corrected or missing."""

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle
from workbench.features import offline
from workbench.features.labels import PositiveIntervals

FEATURES = oracle.feature_set()


@pytest.mark.parametrize("seed", range(20))
def test_every_feature_equals_brute_force_on_random_facts(seed: int) -> None:
    events, labels = oracle.random_data(seed)
    found = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
    expected = oracle.compute(FEATURES, events, labels)
    wrong = [name for name in FEATURES.names if found[name].tolist() != expected[name]]
    assert wrong == []


def test_the_future_changes_nothing() -> None:
    events, labels = oracle.random_data(1)
    cut = 4 * oracle.DAY
    past = pa.compute.less(events["time"].cast(pa.int64()), cut)
    before = offline.entity_features(FEATURES, "customer", events, PositiveIntervals.of(labels, "id"))
    doubled = events.set_column(4, "amount", pa.compute.if_else(past, events["amount"], 77_777))
    after = offline.entity_features(FEATURES, "customer", doubled, PositiveIntervals.of(labels, "id"))
    rows = past.to_numpy()
    for name in FEATURES.names:
        assert np.array_equal(before[name][rows], after[name][rows])
    assert any(not np.array_equal(before[name], after[name]) for name in FEATURES.names)


def test_an_empty_partition_has_no_features() -> None:
    events, labels = oracle.random_data(1)
    found = offline.entity_features(FEATURES, "customer", events.slice(0, 0), PositiveIntervals.of(labels, "id"))
    assert {len(values) for values in found.values()} == {0}
