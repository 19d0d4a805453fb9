"""A row is found by its entity and instant, also where both together do not fit one 64-bit number."""

import numpy as np
import pytest

from tests.code.features.oracle import DAY
from workbench.features.places import Places

CENTURY = 36_525 * DAY


@pytest.mark.parametrize("entities", [3, 5_000])
def test_the_first_row_at_or_after_a_time_is_found_however_many_entities_over_however_long(entities: int) -> None:
    random = np.random.default_rng(entities)
    entity = np.sort(random.integers(0, entities, 4_000))
    time = random.integers(0, CENTURY, len(entity))
    order = np.lexsort((time, entity))
    entity, time = entity[order], time[order]
    rows = Places.of(entity, time)
    assert (rows.instants is None) == (entities * CENTURY < 2**63), "the case is the one that is meant"
    asked = (
        np.append(entity, random.integers(-1, entities, 500)),
        np.append(time, random.integers(-DAY, 2 * CENTURY, 500)),
    )
    pairs = list(zip(entity.tolist(), time.tolist(), strict=True))
    for one, at, found in zip(*(values.tolist() for values in asked), rows.first_at(*asked).tolist(), strict=True):
        assert found == sum(pair < (one, at) for pair in pairs)


def test_no_rows_have_no_places() -> None:
    nothing = np.zeros(0, np.int64)
    assert Places.of(nothing, nothing).first_at(np.array([0, 7]), np.array([-1, 5])).tolist() == [0, 0]
