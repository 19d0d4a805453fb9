"""The kernel gives what brute force gives, exactly, whatever is late, tied, corrected or missing."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.code.features import oracle
from workbench.features import distributed, offline
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


def events(*facts: tuple[float, float], amounts: list[int | None] | None = None, customers: str = "") -> pa.Table:
    """Events with ids 0, 1, ... of (event day, known day); each of 1 minor unit and of one customer, if not said."""
    days = np.array(facts, float).reshape(-1, 2)
    times = [pa.array((column * oracle.DAY).astype(np.int64)).cast(pa.timestamp("us", "UTC")) for column in days.T]
    amount = amounts or [1] * len(facts)
    customer = pa.array(list(customers) or ["a"] * len(facts), pa.string())
    return pa.table(
        {
            "id": np.arange(len(facts)),
            "time": times[0],
            "known_time": times[1],
            "customer": customer,
            "amount": pa.array(amount, pa.int64()),
        }
    )


def labels(*said: tuple[int, int, float]) -> PositiveIntervals:
    """What was said of ids: (id, label, known day), in the order of telling."""
    ids, label, days = zip(*said, strict=True) if said else ((), (), ())
    known = pa.array((np.array(days) * oracle.DAY).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    table = {"id": pa.array(ids, pa.int64()), "label": pa.array(label, pa.int8()), "known_time": known}
    return PositiveIntervals.of(pa.table({**table, "recorded_at": np.arange(len(said))}), "id")


def computed(name: str, table: pa.Table, known: PositiveIntervals | None = None) -> list[float]:
    found = offline.entity_features(FEATURES, "customer", table, known or labels())
    values: list[float] = found[name].tolist()
    return values


class TestWindowEdges:
    def test_a_window_is_open_where_it_begins_and_closed_where_it_ends(self) -> None:
        just_inside = 1 / oracle.DAY
        table = events((0, 0), (just_inside, just_inside), (1, 1))
        assert computed("before_count_1d", table) == [0, 1, 1]
        assert computed("now_count_1d", table) == [1, 2, 2]

    def test_a_delayed_window_takes_what_is_exactly_the_delay_ago_and_drops_it_a_window_later(self) -> None:
        table = events((0, 0), (2, 2), (3 - 1 / oracle.DAY, 3), (3, 3))
        assert computed("late_count_1d", table) == [0, 1, 1, 0]

    def test_events_of_one_instant_see_the_smaller_ids_whatever_the_order_of_the_rows(self) -> None:
        table = events((5, 5), (5, 5), (5, 5))
        assert computed("before_count_1d", table) == [0, 1, 2]
        assert computed("now_count_1d", table.take([2, 0, 1])) == [3, 1, 2]
        assert computed("late_count_3d", table) == [0, 0, 0]

    def test_a_window_without_events_has_a_mean_and_a_rate_of_zero(self) -> None:
        table = events((0, 0))
        for name in ("before_mean_1d", "late_mean_3d", "before_known_positive_rate_1d"):
            assert computed(name, table, labels((0, 1, 0))) == [0]

    def test_customers_do_not_see_each_other_even_where_one_ends_and_the_next_begins(self) -> None:
        table = events((0, 0), (9, 9), (0, 0), (9, 9), (9, 9), customers="aabba")
        assert computed("now_count_3d", table) == [1, 1, 1, 1, 2]

    def test_times_before_1970_are_times_like_others(self) -> None:
        table = events((-400, -400), (-399.5, -399.5), (0.25, 0.25))
        assert computed("now_count_1d", table) == [1, 2, 1]


class TestLateFacts:
    def test_a_late_event_is_seen_from_its_known_time_and_by_itself(self) -> None:
        table = events((0, 2), (1, 1), (2, 2), (2.5, 2.5))
        assert computed("now_count_3d", table) == [1, 1, 3, 4]
        assert computed("before_count_3d", table) == [0, 0, 2, 3]

    def test_an_event_known_only_after_its_window_has_passed_is_never_seen_by_others(self) -> None:
        table = events((0, 40), (1, 1), (2, 2), (50, 50))
        assert computed("now_count_3d", table) == [1, 1, 2, 1]
        assert computed("late_count_3d", table) == [0, 0, 0, 0]

    def test_an_event_known_before_it_happens_counts_when_it_happens(self) -> None:
        assert computed("before_count_1d", events((1, -5), (0.5, 0.5), (1.25, 1.25))) == [1, 0, 2]

    def test_a_label_known_after_the_window_has_passed_never_counts(self) -> None:
        table = events((0, 0), (1, 1), (2.5, 2.5), (60, 60))
        assert computed("before_known_positive_rate_3d", table, labels((0, 1, 59))) == [0, 0, 0, 0]

    def test_a_label_counts_from_the_very_instant_at_which_it_is_known(self) -> None:
        table = events((0, 0), (1 - 1 / oracle.DAY, 1), (1, 1))
        assert computed("before_known_positive_rate_3d", table, labels((0, 1, 1))) == [0, 0, 1 / 2]

    def test_a_label_that_is_taken_back_stops_to_count_and_counts_again_when_it_is_said_again(self) -> None:
        table = events((0, 0), (0.5, 0.5), (1, 1), (1.5, 1.5), (2, 2))
        told = labels((0, 1, 0.5), (0, 0, 1), (0, 1, 1.5))
        assert computed("before_known_positive_rate_3d", table, told) == [0, 1, 0, 1 / 3, 1 / 4]

    def test_labels_of_events_in_other_partitions_do_not_count_here(self) -> None:
        assert computed("now_known_positive_rate_1d", events((0, 0)), labels((-1, 1, -9), (7, 1, -9))) == [0]


class TestValues:
    def test_a_null_amount_adds_nothing_and_still_counts_as_an_event(self) -> None:
        table = events((0, 0), (0.25, 0.25), (0.5, 0.5), amounts=[10, None, 20])
        assert computed("now_sum_1d", table) == [10, 10, 30]
        assert computed("now_mean_1d", table) == [10, 5, 10]

    def test_refunds_make_sums_smaller_and_zero_sums_are_exact(self) -> None:
        table = events((0, 0), (0.25, 0.25), (1, 1), amounts=[7, -7, -3])
        assert computed("now_sum_1d", table) == [7, 0, -10]

    def test_sums_are_exact_where_floats_are_not(self) -> None:
        table = events(*[(day, day) for day in (0, 0.25, 0.5, 2)], amounts=[2**53, 1, 1, 1])
        assert computed("now_sum_1d", table) == [2**53, 2**53, 2**53 + 2, 1]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.string()])
    def test_the_type_of_ids_and_entities_does_not_matter(self, kind: pa.DataType) -> None:
        table, said = oracle.random_data(2)
        expected = offline.entity_features(FEATURES, "customer", table, PositiveIntervals.of(said, "id"))
        padded = [pc.utf8_lpad(one["id"].cast(pa.string()), 4, "0") for one in (table, said)]
        if kind == pa.string():
            table, said = table.set_column(0, "id", padded[0]), said.set_column(0, "id", padded[1])
        table = table.set_column(3, "customer", table["customer"].cast(kind))
        found = offline.entity_features(FEATURES, "customer", table, PositiveIntervals.of(said, "id"))
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values.tolist() for name, values in expected.items()
        }

    def test_rows_may_come_in_any_order_and_number_of_chunks(self) -> None:
        table, said = oracle.random_data(3)
        known = PositiveIntervals.of(said, "id")
        expected = offline.entity_features(FEATURES, "customer", table, known)
        order = np.random.default_rng(0).permutation(table.num_rows)
        mixed = table.take(pa.array(order))
        cut = pa.concat_tables([mixed.slice(0, 50), mixed.slice(50, 0), mixed.slice(50)])
        found = offline.entity_features(FEATURES, "customer", cut, known)
        for name in FEATURES.names:
            assert np.array_equal(found[name], expected[name][order])


@pytest.mark.parametrize(("rows", "buckets"), [(0, 2), (400_000, 2), (1_754_155, 8), (8_000_000, 8), (28_066_480, 29)])
def test_partitions_fit_the_caches_and_then_grow_before_they_multiply(rows: int, buckets: int) -> None:
    assert distributed.buckets_for(rows) == buckets
