"""A row's earlier events are shown as they were when they happened: what brute force finds, to the last bit."""

import numpy as np
import pytest

from tests.code.features import oracle
from tests.code.features.samples import kernel, wrong
from workbench.features.sequences import Known

SETS = [
    oracle.with_sequence(["customer"]),
    oracle.with_sequence(["shop"], "2d", 5, "1d"),
    oracle.with_sequence(["customer", "shop"], "9d", 1, of=["now_count_36h", "late_risk_36h", "amount"]),
]


@pytest.mark.parametrize("number", range(len(SETS)))
@pytest.mark.parametrize("seed", range(12))
def test_sequences_are_those_of_brute_force(seed: int, number: int) -> None:
    random, features = np.random.default_rng(seed), SETS[number]
    events = oracle.random_events(random, int(random.integers(1, 90)), wide=seed % 5 == 0)
    said = oracle.random_labels(random, events)
    expected = oracle.compute(features, events, said)
    assert wrong(kernel(features, events, said), expected) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_last_known_fact_before_a_place_is_found_however_many_are_late(seed: int) -> None:
    random = np.random.default_rng(seed)
    since = random.integers(0, 30, int(random.integers(0, 70)))
    known, end = Known(since), random.integers(0, len(since) + 1, 300)
    at = random.integers(-5, 30, 300)
    expected = [max([-1, *np.flatnonzero(since[:place] <= time)]) for place, time in zip(end, at, strict=True)]
    assert known.before(end, at).tolist() == expected
