"""A correction or deletion ends what was said before, from the time at which it is known."""

import pyarrow as pa
import pytest

from tests.code.features import samples
from tests.code.features.oracle import DAY
from workbench.features.labels import NEVER_US
from workbench.features.versions import ASKS, UNTIL, resolved

FEATURES = samples.small()


def versions(*said: tuple[int, float, float, int | None], customers: str = "") -> pa.Table:
    """Versions of (id, event day, known day, amount); None: the event is gone."""
    times = [(day, known) for _, day, known, _ in said]
    table = samples.events(*times, amounts=[amount or 0 for *_, amount in said], customers=customers)
    gone = pa.array([amount is None for *_, amount in said])
    return table.set_column(0, "id", pa.array([one for one, *_ in said])).append_column("gone", gone)


def told(table: pa.Table) -> list[tuple[int, float | None, bool]]:
    """(amount, until day, asks) of the versions."""
    rows = resolved(FEATURES, table, "gone").to_pylist()
    return [(row["amount"], None if row[UNTIL] == NEVER_US else row[UNTIL] / DAY, row[ASKS]) for row in rows]


def sums(table: pa.Table, name: str = "now_sum_3d") -> dict[int, float]:
    return {one: found[name] for one, found in samples.kernel(FEATURES, table, samples.labels()).items()}


def test_each_version_lasts_until_the_next_and_the_first_one_asks() -> None:
    table = versions((7, 0, 0, 10), (8, 0, 0, 1), (7, 0, 2, 30), (7, 0, 1, 20))
    assert told(table) == [(10, 1, True), (1, None, True), (30, None, False), (20, 2, False)]


def test_a_deletion_ends_a_version_and_is_none_itself() -> None:
    assert told(versions((7, 0, 0, 10), (7, 0, 1, None))) == [(10, 1, True)]
    assert told(versions((7, 0, 0, 10), (7, 0, 1, None), (7, 0, 2, 5))) == [(10, 1, True), (5, None, False)]


def test_of_versions_with_one_known_time_the_later_row_counts() -> None:
    assert told(versions((7, 0, 1, 10), (7, 0, 1, 20))) == [(10, 1, True), (20, None, False)]
    table = versions((7, 0, 0, 10), (7, 0, 1, 20), (7, 0, 1, 30), (8, 2, 2, 1))
    assert sums(table)[8] == 31


def test_without_a_column_of_deletions_every_version_is_a_fact() -> None:
    table = versions((7, 0, 0, 10), (7, 0, 1, None))
    assert resolved(FEATURES, table)["amount"].to_pylist() == [10, 0]


def test_a_null_in_the_column_of_deletions_deletes_nothing() -> None:
    table = versions((7, 0, 0, 10)).drop_columns("gone").append_column("gone", pa.array([None], pa.bool_()))
    assert told(table) == [(10, None, True)]


def test_what_was_never_corrected_has_the_numbers_that_it_has_without_versions() -> None:
    table = versions(*((n, n / 2, n / 2, n) for n in range(9)))
    assert samples.kernel(FEATURES, table, samples.labels()) == samples.kernel(
        FEATURES, table.drop_columns("gone"), samples.labels()
    )


@pytest.mark.parametrize(
    ("version", "sums_of_others"),
    [
        ((1, 0.0, 1.0, 50), [110, 150]),  # another amount, from day 1
        ((1, 0.0, 1.0, None), [110, 100]),  # nothing any more
        ((1, -9.0, 1.0, 50), [110, 100]),  # out of the window
        ((1, 1.5, 1.0, 50), [110, 100]),  # in the future of day 1.25, once it is known
    ],
)
def test_others_see_the_version_that_they_know(
    version: tuple[int, float, float, int | None], sums_of_others: list[float]
) -> None:
    table = versions((1, 0, 0, 10), version, (2, 0.75, 0.75, 100), (3, 1.25, 1.25, 0))
    assert [sums(table)[one] for one in (2, 3)] == sums_of_others


def test_a_correction_to_another_customer_is_seen_there() -> None:
    table = versions((1, 0, 0, 10), (1, 0, 1, 10), (2, 2, 2, 1), (3, 2, 2, 1), customers="abab")
    assert sums(table) == {1: 10, 2: 1, 3: 11}


def test_a_row_sees_itself_as_it_asked_and_never_its_corrections() -> None:
    table = versions((1, 2, 2, 10), (1, 1, 2, 99), (2, 2.5, 2.5, 0))
    assert sums(table) == {1: 10, 2: 99}
    assert sums(table, "before_sum_3d") == {1: 0, 2: 99}
