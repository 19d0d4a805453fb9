"""What is remembered of an entity, online: labels, corrections, and for how long."""

import itertools

import pytest

from tests.code.features.oracle import Row
from tests.code.features.samples import event, own_labels, small
from workbench.features.definitions import DAY_US
from workbench.features.online import OnlineState

SMALL = small()


def asked(state: OnlineState, name: str, one: Row) -> float:
    return state.observe(one)[SMALL.names.index(name)]


class TestLabels:
    RATE = "before_risk_3d"

    def state(self) -> OnlineState:
        state = OnlineState(SMALL)
        for number in range(2):
            state.observe(event(number, 0))
        return state

    def rate_at(self, state: OnlineState, day: float) -> float:
        return asked(state, self.RATE, event(f"{day}", day)) * (len(state) - 1)

    def test_a_correction_counts_from_its_known_time_in_whatever_order_they_are_told(self) -> None:
        said = [(True, 0.25), (False, 0.5), (True, 0.75)]
        for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
            state = self.state()
            for place in order:
                assert state.label(0, said[place][0], round(said[place][1] * DAY_US))
            assert [round(self.rate_at(state, day)) for day in (0.125, 0.25, 0.5, 0.75)] == [0, 1, 0, 1]

    def test_of_two_labels_known_at_one_time_the_one_told_last_counts(self) -> None:
        state = self.state()
        for positive in (True, False, True, False):
            state.label(0, positive, DAY_US // 4)
            assert asked(state, self.RATE, event(f"{positive}", 0.5)) * (len(state) - 1) == positive

    @pytest.mark.parametrize("known_day", [0, 3])
    def test_an_event_that_asks_again_does_not_see_its_own_label_late_or_not(self, known_day: float) -> None:
        state, one = OnlineState(own_labels()), event(1, 0, known_day=known_day)
        first = state.observe(one)
        assert state.label(1, True, 0)
        assert state.observe(one) == first == [0, 0, -9]
        assert state.observe(event(2, 0.5, known_day=0.5)) == (
            [1, 1 / 2, DAY_US / 2e6] if known_day == 0 else [0, 0, -9]
        )

    def test_a_repeated_label_is_remembered_once(self) -> None:
        state = self.state()
        for _ in range(5):
            assert state.label(0, True, DAY_US // 4)
        assert state._labels[0] == ((DAY_US // 4, 1),)
        assert len(state._histories[0][5].positive_ids) == 1

    def test_a_label_far_later_than_any_window_is_taken_and_changes_nothing_seen(self) -> None:
        state = self.state()
        assert state.label(0, True, 400 * DAY_US)
        assert self.rate_at(state, 1) == 0

    def test_a_label_of_a_forgotten_event_is_not_taken(self) -> None:
        state = self.state()
        state.observe(event(9, 20, customer=6))
        assert not state.label(0, True, 0)
        assert state.time_of(0) is None


class TestCorrections:
    """Told of the future, to a customer of whom nothing else is late or corrected: it is looked for where it is."""

    MOVED = event(1, 3, customer=6, amount=7)

    def seen_by_customer_6(self, state: OnlineState, day: float) -> tuple[float, float]:
        found = dict(zip(SMALL.names, state.observe(event(f"{day}", day, customer=6, amount=0)), strict=True))
        return found["before_sum_3d"], found["before_risk_3d"]

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_any_order_of_two_corrections_and_a_label(self, order: tuple[int, ...]) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        for number in order:
            if number == 2:
                assert state.label(1, True, DAY_US)
            else:
                assert state.correct(1, [self.MOVED, {**self.MOVED, "amount": 9}][number], (number + 1) * DAY_US)
        assert self.seen_by_customer_6(state, 4) == (9, 1)

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_version_that_ends_before_it_happens_is_never_seen(self, order: tuple[int, ...]) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        for number in order:
            assert state.correct(1, [self.MOVED, None][number], (number + 1) * DAY_US)
        assert self.seen_by_customer_6(state, 4) == (0, 0)

    @pytest.mark.parametrize("label_first", [False, True])
    def test_a_label_follows_its_event_to_another_customer(self, label_first: bool) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        tasks = [lambda: state.correct(1, self.MOVED, DAY_US), lambda: state.label(1, True, DAY_US)]
        assert all(task() for task in (reversed(tasks) if label_first else tasks))
        assert self.seen_by_customer_6(state, 4) == (7, 1)

    def test_of_two_corrections_known_at_one_time_the_one_told_first_never_comes_back(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        for amount, day in ((20, 1), (30, 1), (40, 2)):
            assert state.correct(1, event(1, 0, amount=amount), day * DAY_US)
        sums = [asked(state, "before_sum_3d", event(f"{day}", day, amount=0)) for day in (0.5, 1, 1.5, 2)]
        assert sums == [10, 30, 30, 40]


class TestMemory:
    def test_an_event_from_before_all_memory_sees_itself_alone_and_leaves_no_trace(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        state.observe(event(2, 10.5))
        found = dict(zip(SMALL.names, state.observe(event(3, 0.25, amount=7)), strict=True))
        assert (found["now_count_3d"], found["now_mean_3d"], found["before_count_3d"]) == (1, 7, 0)
        assert (state.time_of(3), len(state), state.label(3, True, 0)) == (None, 1, False)

    def test_a_late_event_is_forgotten_by_its_time_not_by_its_arrival(self) -> None:
        state = OnlineState(SMALL)
        for number, day in enumerate((5, 0, 11)):
            state.observe(event(number, day))
        assert [state.time_of(number) is None for number in range(3)] == [False, True, False]
        assert not state.label(1, True, 0)

    def test_the_time_of_an_event_is_told_while_it_is_remembered(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 2))
        assert (state.time_of(1), state.time_of(2)) == (2 * DAY_US, None)

    def test_what_is_exactly_twice_the_horizon_ago_is_kept_and_a_microsecond_more_is_not(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0))
        state.observe({**event(2, 0, customer=6), "time": SMALL.memory_us})
        assert state.time_of(1) == 0
        state.observe({**event(3, 0, customer=6), "time": SMALL.memory_us + 1})
        assert state.time_of(1) is None

    def test_customers_of_whom_nothing_is_left_cost_nothing(self) -> None:
        state = OnlineState(SMALL)
        for number in range(100):
            state.observe(event(number, number, customer=number))
            state.label(number, True, number * DAY_US)
        assert len(state) == 11
        assert len(state._histories[0]) == len(state._labels) == 12, "what the last event let go may have to come back"

    def test_an_event_without_a_known_time_was_known_when_it_happened(self) -> None:
        state = OnlineState(SMALL)
        row = event(1, 0)
        del row["known_time"]
        state.observe(row)
        assert asked(state, "before_count_1d", event(2, 0)) == 1

    def test_an_event_without_customer_has_no_past_and_is_nobodys_past(self) -> None:
        state = OnlineState(SMALL)
        for number in range(2):
            found = dict(zip(SMALL.names, state.observe(event(number, number / 4, customer=None)), strict=True))
            assert set(found.values()) == {0}
        assert state.label(0, True, 0)
        assert asked(state, "before_count_3d", event(2, 1)) == 0
        assert (len(state), len(state._histories[0])) == (3, 1)

    def test_what_was_corrected_is_forgotten_like_all_else(self) -> None:
        state = OnlineState(SMALL)
        for number in range(100):
            state.observe(event(number, number, customer=number % 2))
            state.correct(number, event(number, number, customer=2, amount=3), round((number + 0.5) * DAY_US))
        assert (len(state._versions), len(state)) == (12, 11), "the last event may yet be taken back"
        state.observe(event(100, 200, customer=0))
        assert not state.correct(99, None, 0)
        state.observe(event(101, 200, customer=0))
        assert (len(state._versions), len(state)) == (0, 2)

    def test_a_null_amount_counts_as_an_event_of_nothing(self) -> None:
        state = OnlineState(SMALL)
        state.observe(event(1, 0, amount=None))
        last = state.observe(event(2, 0.5, amount=30))
        found = dict(zip(SMALL.names, last, strict=True))
        assert (found["now_sum_1d"], found["now_mean_1d"], found["before_mean_1d"]) == (30, 15, 0)
