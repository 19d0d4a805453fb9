"""The kernel gives what brute force gives, exactly, whatever is late, tied, corrected, deleted or missing."""

import dataclasses
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.code.features import oracle
from tests.code.features.samples import DATA, TIME, columns_of, events, kernel, labels, own_labels, small, wrong
from workbench.config import FeatureConfig, FeaturesConfig, ViewConfig
from workbench.features.definitions import FeatureSet
from workbench.features.online import OnlineState

ALL, SMALL = oracle.feature_set(), small()
SORTS = ("now", "before", "late", "pair")  # of windows: each has every aggregate


def case(seed: int, rows: int, features: FeatureSet = ALL, shops: int = 3, days: int | None = None) -> list[object]:
    """What is wrong in a seeded case. Every second one has corrections and deletions, every fifth wide amounts."""
    random = np.random.default_rng(seed)
    sizes = {"wide": seed % 5 == 0, "days": days, "shops": shops}
    facts = oracle.random_events(random, rows, **sizes)
    said = oracle.random_labels(random, facts)
    if seed % 2:
        facts = oracle.corrected(random, facts, **sizes)
    found, expected = kernel(features, facts, said), oracle.compute(features, facts, said)
    assert len(expected) > 0.8 * rows
    return [(seed, *one) for one in wrong(found, expected)]


def of_sort(sort: str) -> FeatureSet:
    return dataclasses.replace(ALL, features=tuple(one for one in ALL.features if one.name.startswith(f"{sort}_")))


def acceptance(seed: int) -> list[object]:
    """A case of 1,000 rows: every aggregate through one sort of window; ten or more facts in the long ones."""
    return case(seed, 1000, of_sort(SORTS[seed // 10 % 4]), shops=33, days=20)


class TestBruteForce:
    @pytest.mark.parametrize("seed", range(60))
    def test_every_feature_of_every_row_is_equal_to_the_last_bit(self, seed: int) -> None:
        assert case(seed, 10 + seed)[:9] == []

    def test_the_sorts_of_windows_are_all_features_and_each_has_every_aggregate(self) -> None:
        kinds = {one.kind for one in ALL.features}
        assert [{one.kind for one in of_sort(sort).features} for sort in SORTS] == [kinds] * 4
        assert sum(len(of_sort(sort).features) for sort in SORTS) == len(ALL.features)

    def test_the_facts_are_rich_enough_that_every_feature_takes_several_values(self) -> None:
        random = np.random.default_rng(0)
        facts = oracle.random_events(random, 200)
        found = columns_of(ALL, facts, oracle.random_labels(random, facts))
        assert [name for name, values in found.items() if len(np.unique(values)) < 2] == []

    @pytest.mark.slow
    def test_every_aggregate_of_every_row_in_1000_cases_of_1000_rows_one_sort_of_window_each(self) -> None:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
            faults = [one for found in processes.map(acceptance, range(1000), chunksize=20) for one in found]
        assert faults[:9] == []


class TestProperties:
    """What must change nothing: names of entities, order of rows, how they are partitioned."""

    def facts(self, seed: int, rows: int = 150) -> tuple[pa.Table, pa.Table]:
        random = np.random.default_rng(seed)
        facts = oracle.random_events(random, rows)
        return oracle.corrected(random, facts) if seed % 2 else facts, oracle.random_labels(random, facts)

    @pytest.mark.parametrize("seed", range(6))
    def test_entities_may_be_renamed(self, seed: int) -> None:
        facts, said = self.facts(seed)
        other = facts.set_column(3, "customer", pc.subtract(10**15, pc.multiply(facts["customer"], 7)))
        names = pc.binary_join_element_wise("of the", facts["shop"], " ")
        other = other.set_column(4, "shop", pc.utf8_reverse(names))
        assert facts.column_names[3:5] == ["customer", "shop"]
        assert kernel(ALL, other, said) == kernel(ALL, facts, said)

    @pytest.mark.parametrize("seed", range(6))
    def test_rows_may_come_in_any_order_and_number_of_chunks(self, seed: int) -> None:
        facts, said = self.facts(seed)
        if seed % 2:  # of versions with one known time the later row counts: here no two have one
            known = pc.add(facts["known_time"].cast(pa.int64()), pa.array(np.arange(len(facts)))).cast(TIME)
            facts = facts.set_column(2, "known_time", known)
        mixed = facts.take(np.random.default_rng(seed).permutation(len(facts)))
        cut = pa.concat_tables([mixed.slice(0, 50), mixed.slice(50, 0), mixed.slice(50)])
        assert kernel(ALL, cut, said) == kernel(ALL, facts, said)

    @pytest.mark.parametrize("seed", range(4))
    def test_entities_may_be_split_into_partitions(self, seed: int) -> None:
        facts, said = self.facts(2 * seed)
        for entity in ALL.entities:
            features = dataclasses.replace(ALL, features=ALL.of_entity(entity))
            key = sum(
                pc.fill_null(facts[name].dictionary_encode().combine_chunks().indices, 9).to_numpy() for name in entity
            )
            parts = [facts.filter(pa.array(key % 3 == part)) for part in range(3)]
            assert min(map(len, parts)) > 10
            together: dict[int, dict[str, float]] = {}
            for part in parts:
                together |= kernel(features, part, said)
            assert together == kernel(features, facts, said)

    def test_the_future_changes_nothing(self) -> None:
        facts, said = self.facts(0)
        cut = 4 * oracle.DAY
        past = pc.less(facts["time"].cast(pa.int64()), cut)
        changed = facts.set_column(5, "amount", pc.if_else(past, facts["amount"], 77_777))
        before, after = columns_of(ALL, facts, said), columns_of(ALL, changed, said)
        rows = past.to_numpy()
        assert facts.column_names[5] == "amount"
        assert all(np.array_equal(before[name][rows], after[name][rows]) for name in ALL.names)
        assert any(not np.array_equal(before[name], after[name]) for name in ALL.names)

    def test_an_empty_partition_has_no_features(self) -> None:
        facts, said = self.facts(0)
        found = columns_of(ALL, facts.slice(0, 0), said)
        assert {len(values) for values in found.values()} == {0}
        assert columns_of(ALL, facts.slice(0, 1), said.slice(0, 0))["now_count_36h"].tolist() == [1]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.string()])
    def test_the_type_of_ids_and_entities_does_not_matter(self, kind: pa.DataType) -> None:
        table, said = self.facts(2)
        expected = columns_of(ALL, table, said)
        padded = [pc.utf8_lpad(one["id"].cast(pa.string()), 4, "0") for one in (table, said)]
        if kind == pa.string():
            table, said = table.set_column(0, "id", padded[0]), said.set_column(0, "id", padded[1])
        table = table.set_column(3, "customer", table["customer"].cast(kind))
        found = columns_of(ALL, table, said)
        assert all(np.array_equal(found[name], expected[name]) for name in ALL.names)


def computed(name: str, table: pa.Table, said: pa.Table | None = None) -> list[float]:
    values: list[float] = columns_of(SMALL, table, labels() if said is None else said)[name].tolist()
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

    def test_a_window_without_events_has_what_its_definition_says_is_there(self) -> None:
        table = events((0, 0))
        for name in ("before_mean_1d", "late_mean_3d", "before_risk_1d"):
            assert computed(name, table, labels((0, 1, 0))) == [0]

    def test_customers_do_not_see_each_other_even_where_one_ends_and_the_next_begins(self) -> None:
        table = events((0, 0), (9, 9), (0, 0), (9, 9), (9, 9), customers="aabba")
        assert computed("now_count_3d", table) == [1, 1, 1, 1, 2]

    def test_a_row_without_customer_has_no_past_and_is_nobodys_past(self) -> None:
        table = events((0, 0), (0.25, 0.25), (0.5, 0.5), (0.75, 0.75), customers="-a-a")
        assert computed("now_count_1d", table) == [0, 1, 0, 2]
        assert computed("before_risk_1d", table, labels((0, 1, 0), (1, 1, 0.25), (2, 1, 0.5))) == [0, 0, 0, 1]

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
        assert computed("before_risk_3d", table, labels((0, 1, 59))) == [0, 0, 0, 0]

    def test_a_label_counts_from_the_very_instant_at_which_it_is_known(self) -> None:
        table = events((0, 0), (1 - 1 / oracle.DAY, 1), (1, 1))
        assert computed("before_risk_3d", table, labels((0, 1, 1))) == [0, 0, 1 / 2]

    def test_a_label_that_is_taken_back_stops_to_count_and_counts_again_when_it_is_said_again(self) -> None:
        table = events((0, 0), (0.5, 0.5), (1, 1), (1.5, 1.5), (2, 2))
        told = labels((0, 1, 0.5), (0, 0, 1), (0, 1, 1.5))
        assert computed("before_risk_3d", table, told) == [0, 1, 0, 1 / 3, 1 / 4]

    @pytest.mark.parametrize("known", [0, -1])
    def test_no_row_sees_its_own_label_however_early_it_is_known(self, known: float) -> None:
        table = events(*[(0, 0)] * 4, customers="abcd")
        told = labels(*((number, 1 - number % 2, known) for number in range(4)))
        found = columns_of(own_labels(), table, told)
        assert {name: values.tolist() for name, values in found.items()} == {
            "frauds_1d": [0] * 4, "risk_1d": [0] * 4, "age_1d": [-9] * 4,
        }  # fmt: skip

    def test_a_rate_counts_the_row_itself_among_the_events_and_not_among_the_positives(self) -> None:
        table = events((0, 0), (0.25, 0.25), (0.5, 0.5))
        told = labels((0, 1, 0), (1, 1, 0.25), (2, 1, 0.5))
        assert computed("now_risk_1d", table, told) == [0, 1 / 2, 2 / 3]
        assert computed("before_risk_1d", table, told) == [0, 1, 1]

    def test_labels_of_events_in_other_partitions_do_not_count_here(self) -> None:
        assert computed("now_risk_1d", events((0, 0)), labels((-1, 1, -9), (7, 1, -9))) == [0]


class TestValues:
    def test_a_null_amount_that_counts_as_zero_adds_nothing_and_still_counts_as_an_event(self) -> None:
        table = events((0, 0), (0.25, 0.25), (0.5, 0.5), amounts=[10, None, 20])
        assert computed("now_sum_1d", table) == [10, 10, 30]
        assert computed("now_mean_1d", table) == [10, 5, 10]

    @pytest.mark.parametrize(
        ("amounts", "count"), [([5, None, 7, 9], [1, 2, 3, 4]), ([0, None, 5, None], [1, 1, 2, 2])]
    )
    def test_a_null_that_counts_is_the_value_0_among_the_different_ones(
        self, amounts: list[int | None], count: list[int]
    ) -> None:
        table = events(*[(day / 8, day / 8) for day in range(4)], amounts=amounts)
        kinds = [FeatureConfig("zero", "distinct", "amount", nulls="zero"), FeatureConfig("n", "count")]
        view = ViewConfig("v", ["customer"], ["1d"], current_row=True, features=kinds)
        features = FeatureSet.of(FeaturesConfig(views=[view]), DATA)
        state = OnlineState(features)
        assert columns_of(features, table, labels())["zero_1d"].tolist() == count
        assert [state.observe(row)[0] for row in oracle.plain(table)] == count

    def test_refunds_make_sums_smaller_and_zero_sums_are_exact(self) -> None:
        table = events((0, 0), (0.25, 0.25), (1, 1), amounts=[7, -7, -3])
        assert computed("now_sum_1d", table) == [7, 0, -10]

    def test_sums_are_exact_where_floats_are_not(self) -> None:
        table = events(*[(day, day) for day in (0, 0.25, 0.5, 2)], amounts=[2**53, 1, 1, 1])
        assert computed("now_sum_1d", table) == [2**53, 2**53, 2**53 + 2, 1]

    def test_sums_are_exact_beyond_64_bits(self) -> None:
        table = events(*[(day, day) for day in (0, 0.25, 0.5)], amounts=[2**63 - 1] * 3)
        assert computed("now_sum_1d", table) == [float(n * (2**63 - 1)) for n in (1, 2, 3)]
