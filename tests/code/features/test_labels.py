"""From ledger rows to the times between which an event was known to be positive."""

from random import Random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.features.labels import NEVER_US, PositiveIntervals

TIME = pa.timestamp("us", "UTC")
Said = tuple[int, int, int]  # id, label, known time


def ledger(*said: Said, recorded: list[int] | None = None) -> pa.Table:
    """Ledger rows that were recorded in this order, if nothing else is said."""
    ids, labels, known = zip(*said, strict=True) if said else ((), (), ())
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "label": pa.array(labels, pa.int8()),
            "known_time": pa.array(known, pa.int64()).cast(TIME),
            "recorded_at": pa.array(recorded or range(len(said)), pa.int64()).cast(TIME),
        }
    )


def intervals(table: pa.Table) -> list[tuple[int, int, int]]:
    found = PositiveIntervals.of(table, "id")
    return list(zip(found.ids.tolist(), found.since_us.tolist(), found.until_us.tolist(), strict=True))


def positive_at(table: pa.Table, identity: int, time: int) -> int:
    return sum(one == identity and since <= time < until for one, since, until in intervals(table))


def test_a_positive_label_counts_from_its_known_time_for_ever() -> None:
    assert intervals(ledger((7, 1, 5))) == [(7, 5, NEVER_US)]


def test_negative_labels_and_no_labels_give_no_interval() -> None:
    assert intervals(ledger((7, 0, 5), (8, 0, 1))) == []
    assert intervals(ledger()) == []


def test_a_correction_ends_the_interval_and_another_begins_a_new_one() -> None:
    assert intervals(ledger((7, 1, 5), (7, 0, 9), (7, 1, 20))) == [(7, 5, 9), (7, 20, NEVER_US)]


def test_a_repeated_label_is_not_counted_twice_at_any_time() -> None:
    table = ledger((7, 1, 5), (7, 1, 9), (7, 1, 9))
    assert [positive_at(table, 7, time) for time in (4, 5, 8, 9, 10)] == [0, 1, 1, 1, 1]


def test_of_two_labels_known_at_one_time_the_later_recorded_counts() -> None:
    assert positive_at(ledger((7, 1, 5), (7, 0, 5), recorded=[1, 2]), 7, 5) == 0
    assert positive_at(ledger((7, 1, 5), (7, 0, 5), recorded=[2, 1]), 7, 5) == 1


def test_an_older_label_that_is_recorded_later_fills_only_the_time_before() -> None:
    table = ledger((7, 0, 9), (7, 1, 5))
    assert intervals(table) == [(7, 5, 9)]


def test_text_ids_are_kept_as_they_are() -> None:
    table = ledger((0, 1, 5), (1, 1, 6)).set_column(0, "id", pa.array(["b", "a"]))
    assert intervals(table) == [("a", 6, NEVER_US), ("b", 5, NEVER_US)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 6)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_intervals_agree_with_a_plain_look_at_the_ledger(said: list[Said], random: Random) -> None:
    recorded = list(range(len(said)))
    rows = list(zip(said, recorded, strict=True))
    random.shuffle(rows)
    table = ledger(*(one for one, _ in rows), recorded=[number for _, number in rows])
    for identity in range(3):
        for time in range(-1, 8):
            known = [(when, number, label) for (one, label, when), number in rows if one == identity and when <= time]
            assert positive_at(table, identity, time) == (max(known)[2] if known else 0)
