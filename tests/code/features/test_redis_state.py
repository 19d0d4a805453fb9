"""Replicas that share their state in a real Redis give what brute force gives, to the last bit, and count once."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.code.features import oracle
from tests.code.features.redis_server import Server, needs_redis
from tests.code.features.test_online import (
    ALL,
    SMALL,
    answers,
    arrive,
    corrected_in_halves,
    delivered,
    event,
    interrupted,
    random_case,
    take_in,
    tell,
    uninterrupted,
)
from workbench.errors import StateUnavailable
from workbench.features import redis_link
from workbench.features.definitions import DAY_US, FeatureSet
from workbench.features.online import OnlineState
from workbench.features.redis_state import RedisState

BUSY = """local function now() local t = redis.call('TIME'); return t[1] + t[2] / 1e6 end
local until_s = now() + 1.6
while now() < until_s do end"""
pytestmark = [needs_redis, pytest.mark.usefixtures("password")]
NAMES = map("state{}".format, count())


def never(_: OnlineState) -> None:
    raise AssertionError("the state is filled already")


def replica(
    server: Server, name: str, features: FeatureSet = ALL, fill: Callable[[OnlineState], None] = lambda _: None
) -> RedisState:
    state = RedisState(features, server.url, name)
    state.fill_once(fill)
    return state


class Turns:
    """Two replicas that are asked in turn; after some calls one of them is started anew."""

    def __init__(self, server: Server, name: str, features: FeatureSet = ALL) -> None:
        self.feature_set, self._server, self._name = features, server, name
        self._states = [replica(server, name, features), replica(server, name, features, never)]
        self._calls = count()

    def __getattr__(self, method: str) -> Any:
        if (call := next(self._calls)) == 30:
            self._states[0] = replica(self._server, self._name, self.feature_set, never)
        return getattr(self._states[call % 2], method)

    def __len__(self) -> int:
        return len(self._states[0])


class TestBruteForce:
    @pytest.mark.parametrize("seed", range(12))
    def test_two_replicas_in_turn_and_a_restart_give_every_event_its_numbers(self, server: Server, seed: int) -> None:
        state: Any = Turns(server, next(NAMES))
        found, expected = corrected_in_halves(state, seed)
        assert found == expected

    @pytest.mark.parametrize("seed", range(3))
    def test_in_a_long_stream_all_answers_are_those_of_the_state_in_process(self, server: Server, seed: int) -> None:
        random = np.random.default_rng(seed)
        events = oracle.random_events(random, 250, days=60)
        told = oracle.plain(oracle.random_labels(random, events))
        rows = sorted(oracle.plain(events), key=lambda row: row["time"] + int(random.integers(0, 2 * ALL.memory_us)))
        shared: Any = Turns(server, next(NAMES))
        alone = OnlineState(ALL)
        for row in rows:
            assert shared.observe(row) == alone.observe(row)
            for said in (one for one in told if one["id"] == row["id"]):
                known = said["id"], said["label"] == 1, said["known_time"]
                assert shared.label(*known) == alone.label(*known)
            assert (shared.time_of(row["id"]), shared.clock) == (alone.time_of(row["id"]), alone.clock)
        assert answers(shared, rows[-40:]) == answers(alone, rows[-40:])

    @pytest.mark.parametrize("seed", range(6))
    def test_a_state_filled_from_history_and_corrections_goes_on_like_the_one_in_process(
        self, server: Server, seed: int
    ) -> None:
        events, said = random_case(seed)
        rows = delivered(seed, oracle.plain(oracle.corrected(np.random.default_rng(seed), events)))
        half = len(events) // 2
        alone, late = OnlineState(ALL), [one for one in rows if one["id"] in set(events["id"].to_pylist()[half:])]

        def fill(state: OnlineState) -> None:
            state.load(events.slice(0, half), said)
            take_in(state, late[: len(late) // 2])

        fill(alone)
        shared: Any = replica(server, next(NAMES), ALL, fill)
        for state in (alone, shared):
            take_in(state, late[len(late) // 2 :])
            tell(state, oracle.plain(said))
        assert answers(shared, oracle.plain(events)) == answers(alone, oracle.plain(events))
        assert len(shared) == len(alone)

    def test_a_loaded_state_is_the_loaded_state_in_process(self, server: Server) -> None:
        events, said = random_case(7, 80)
        shared: Any = replica(server, next(NAMES))
        shared.load(events, said)
        assert answers(shared, oracle.plain(events)) == oracle.compute(ALL, events, said)


class TestConcurrency:
    def test_events_that_reach_both_replicas_at_once_count_once(self, server: Server) -> None:
        events, said = random_case(2, 80)
        rows, name = oracle.plain(events), next(NAMES)
        states: Any = [replica(server, name), replica(server, name, fill=never)]
        orders = [np.random.default_rng(seed).permutation(len(rows)) for seed in range(4)]

        def send(number: int) -> None:
            for at in orders[number]:
                arrive(states[number % 2], rows[at], oracle.plain(said))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send, range(4)))
        assert len(states[0]) == len(rows)
        assert answers(states[1], rows) == oracle.compute(ALL, events, said)

    def test_no_label_of_two_writers_is_lost(self, server: Server) -> None:
        name = next(NAMES)
        states = [replica(server, name, SMALL), replica(server, name, SMALL, never)]
        states[0].observe(event(1, 0))

        def tell_many(number: int) -> None:
            for day in range(50):
                assert states[number].label(1, bool(day % 2), (2 * day + number) * DAY_US)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(tell_many, range(2)))
        held = states[0]._held(1)
        assert held is not None
        assert [known // DAY_US for known, _ in held[1].labels] == list(range(100))

    def test_of_all_who_start_together_one_fills_and_the_others_wait_for_it(self, server: Server) -> None:
        name, filled = next(NAMES), []

        def fill(state: OnlineState) -> None:
            time.sleep(0.5)
            filled.append(state.observe(event(1, 0)))

        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(lambda _: replica(server, name, SMALL, fill), range(4)))
        assert len(filled) == 1
        assert [len(state) for state in states] == [1] * 4

    def test_who_dies_while_filling_is_followed_by_another_who_begins_anew(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_link, "DEAD_MS", 300)
        name = next(NAMES)
        dying = RedisState(SMALL, server.url, name)

        def die(_: OnlineState) -> None:
            dying._link.redis.hset(dying._link.key("events"), b"\x07", b"half")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            dying.fill_once(die)
        state = replica(server, name, SMALL, lambda fresh: fresh.observe(event(1, 0)) and None)
        assert (len(state), state.time_of(7)) == (1, None)
        assert not [thread for thread in threading.enumerate() if thread.name == "filling" and thread.is_alive()]


class TestAFillerThatStalls:
    """Silent for longer than is waited: it is taken for dead, and another one has filled and published the state."""

    def stalled(self, server: Server, name: str, then: Callable[[RedisState], None]) -> RedisState:
        """The other one, whose state was there when the first came back and did something."""
        slow, others = RedisState(SMALL, server.url, name), []

        def fill(fresh: OnlineState) -> None:
            fresh.observe(event(7, 9))
            server.client.delete(slow._link.key("meta"))  # as Redis does when the time is up
            others.append(replica(server, name, SMALL, lambda fresh: fresh.observe(event(1, 0)) and None))
            then(slow)

        with pytest.raises(StateUnavailable, match="has lost the feature state"):
            slow.fill_once(fill)
        return others[0]

    def test_it_does_not_write_into_what_the_other_has_published(self, server: Server) -> None:
        other = self.stalled(server, next(NAMES), lambda _: None)
        assert (len(other), other.clock, other.time_of(7)) == (1, 0, None)

    def test_it_does_not_wipe_it(self, server: Server) -> None:
        def wipe(slow: RedisState) -> None:
            slow._link._wipe()

        other = self.stalled(server, next(NAMES), wipe)
        assert (len(other), other.time_of(1)) == (1, 0)

    def test_its_signs_of_life_do_not_let_it_expire(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_link, "RENEW_S", 0.02)
        other = self.stalled(server, next(NAMES), lambda _: time.sleep(0.3))
        assert server.client.pttl(other._link.key("meta")) == -1


class TestTakingBack:
    @pytest.mark.parametrize("seed", range(6))
    def test_what_is_taken_back_has_never_been_there(self, server: Server, seed: int) -> None:
        events, said = random_case(seed, 30)
        state = replica(server, next(NAMES), ALL)
        found = interrupted(state, events, said, seed)
        expected, answered = uninterrupted(ALL, events, said, seed)
        assert found == answered
        assert (len(state), state.clock) == (len(expected), expected.clock)

    def test_of_the_clock_what_others_have_made_of_it_stays(self, server: Server) -> None:
        name = next(NAMES)
        one, other = replica(server, name, SMALL), replica(server, name, SMALL, never)
        other.observe(event(1, 0))
        one.observe(event(2, 5))
        other.observe(event(3, 3))
        one.take_back()
        assert (len(one), one.clock) == (2, 3 * DAY_US)
        assert other.observe(event(4, 3.5))[SMALL.names.index("now_count_1d")] == 2

    def test_an_event_that_another_replica_is_asked_again_is_no_longer_the_first_ones(self, server: Server) -> None:
        name = next(NAMES)
        one, other = replica(server, name, SMALL), replica(server, name, SMALL, never)
        one.observe(event(1, 0))
        other.observe(event(1, 0))
        one.take_back()
        assert one.observe(event(2, 0.5))[SMALL.names.index("now_count_1d")] == 2

    def test_what_redis_took_in_without_an_answer_is_taken_back_before_the_next_event(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        state.observe(event(1, 0))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(server.client.eval, BUSY, 0)
            time.sleep(0.2)
            with pytest.raises(StateUnavailable, match="does not answer"):
                state.observe(event(2, 0.25))
        deadline = time.monotonic() + 10
        while server.client.hlen(state._link.key("events")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.client.hlen(state._link.key("events")) == 2, "it was taken in all the same"
        assert state.observe(event(3, 0.5))[SMALL.names.index("now_count_1d")] == 2


class TestMemory:
    def test_what_is_beyond_twice_the_horizon_is_forgotten_and_costs_nothing(self, server: Server) -> None:
        name = next(NAMES)
        state, days = replica(server, name, SMALL), SMALL.memory_us // DAY_US
        for day in range(40):
            state.observe(event(day, day, customer=day))
            state.label(day, True, day * DAY_US)
        assert len(state) == days + 1
        assert (state.time_of(40 - days - 2), state.time_of(39)) == (None, 39 * DAY_US)
        client, prefix = state._link.redis, state._link.prefix
        kept = days + 2  # what an event expires goes with the next one: it might be taken back
        assert client.hlen(prefix + b"events") == kept
        assert len(list(client.scan_iter(prefix + b"0:*"))) == 2 * kept

    def test_a_moved_event_is_forgotten_with_its_last_place(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        state.observe(event(1, 0, customer=1))
        state.correct(1, event(1, 3, customer=2), 2 * DAY_US)
        state.observe(event(2, 12, customer=3))
        assert state._link.redis.exists(state._link.key("0:2"))
        state.observe(event(3, 14, customer=3))
        state.observe(event(4, 14, customer=3))
        assert not state._link.redis.exists(state._link.key("0:2"))

    def test_an_event_from_before_all_memory_sees_itself_alone_and_leaves_no_trace(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        state.observe(event(1, 0))
        state.observe(event(2, 10.5))
        found = dict(zip(SMALL.names, state.observe(event(3, 0.25, amount=7)), strict=True))
        assert (found["now_count_3d"], found["now_mean_3d"], found["before_count_3d"]) == (1, 7, 0)
        assert (state.time_of(3), len(state), state.label(3, True, 0)) == (None, 1, False)

    def test_a_late_event_sees_nothing_from_before_all_memory_though_it_is_not_swept_yet(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        for number in range(40):
            state.observe(event(number, 0.1, customer=100 + number))
        state.observe(event(40, 0.5))
        state.observe(event(41, 10.8, customer=6))
        assert state.observe(event(42, 1))[SMALL.names.index("before_count_1d")] == 0
        assert state._link.redis.zcard(state._link.key("0:5")) == 2

    def test_ties_are_broken_by_the_order_of_the_ids_not_of_their_bytes(self, server: Server) -> None:
        state, before = replica(server, next(NAMES), SMALL), SMALL.names.index("before_count_1d")
        for _ in range(2):
            counts = [state.observe(event(identity, 0))[before] for identity in ("b", "aa")]
        assert counts == [1, 0]

    def test_an_event_that_was_corrected_at_once_and_twice_asks_as_it_came(self, server: Server) -> None:
        def fill(fresh: OnlineState) -> None:
            fresh.observe(event(1, 0, amount=10))
            for amount in (3, 5):
                fresh.correct(1, event(1, 0, amount=amount), 0)

        shared, alone = replica(server, next(NAMES), SMALL, fill), OnlineState(SMALL)
        fill(alone)
        for one in (event(1, 0, amount=10), event(2, 0.5, amount=1)):
            assert shared.observe(one) == alone.observe(one)

    def test_an_id_that_comes_again_with_another_entity_or_time_sees_others_only(self, server: Server) -> None:
        now = SMALL.names.index("now_count_1d")
        for state in (OnlineState(SMALL), replica(server, next(NAMES), SMALL)):
            for one in (event(1, 0, customer=5), event(2, -0.1, customer=6), event(3, 0.2, customer=7)):
                state.observe(one)
            again = [event(1, 0, customer=6), event(1, 0.1, customer=5), event(3, 0.1, customer=7)]
            assert [state.observe(one)[now] for one in again] == [1, 1, 0]
            assert len(state) == 3

    def test_an_event_without_an_entity_has_no_past(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        for number in range(2):
            alone = state.observe(event(number, 0, customer=None))
        assert alone == [feature.empty for feature in SMALL.features]
        assert len(state) == 2

    def test_an_unknown_event_is_said_to_be_unknown(self, server: Server) -> None:
        state = replica(server, next(NAMES), SMALL)
        assert not state.label(7, True, 0)
        assert not state.correct(7, event(7, 0), 0)
        assert state.time_of(7) is None


def test_neither_names_nor_definitions_nor_kinds_of_value_mix(server: Server) -> None:
    name = next(NAMES)
    states = [replica(server, name, SMALL), replica(server, name, ALL), replica(server, next(NAMES), SMALL)]
    states[0].observe(event(1, 0, customer=5))
    assert [len(state) for state in states] == [1, 0, 0]
    assert states[0].time_of("1") is None
    before = SMALL.names.index("before_count_1d")
    for customer, seen in zip(("5", 5), (0, 1), strict=True):
        assert states[0].observe(event(f"of {customer!r}", 0.1, customer=customer))[before] == seen


def send_all(url: str, name: str, seed: int) -> int:
    """What one of several processes does: it fills the state if it is the first, and sends every event."""
    state, filled = RedisState(SMALL, url, name), list[int]()
    state.fill_once(lambda _: filled.append(seed))
    for at in np.random.default_rng(seed).permutation(100):
        state.observe(event(int(at), at / 100))
    return len(filled)


def test_processes_that_send_the_same_events_in_other_orders_count_each_once(server: Server) -> None:
    name = next(NAMES)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        filled = list(pool.map(send_all, [server.url] * 2, [name] * 2, range(2)))
    assert sum(filled) == 1
    state = replica(server, name, SMALL, never)
    assert len(state) == 100
    counts = [state.observe(event(at, at / 100))[SMALL.names.index("now_count_1d")] for at in range(100)]
    assert counts == list(range(1, 101))
