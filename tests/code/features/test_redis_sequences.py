"""Replicas that share their state in a real Redis show earlier events as brute force and the state in process do."""

from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.code.features import oracle
from tests.code.features.redis_server import Server, needs_redis
from tests.code.features.test_online import answers, asking, event, interrupted, random_case, tell, uninterrupted
from tests.code.features.test_redis_state import Turns, replica
from tests.code.features.test_sequences import SETS, SMALL
from workbench.errors import InputError
from workbench.features.online import OnlineState

pytestmark = [needs_redis, pytest.mark.usefixtures("password")]
NAMES = map("sequence{}".format, count())


@pytest.mark.parametrize("number", range(len(SETS)))
@pytest.mark.parametrize("seed", range(3))
def test_two_replicas_in_turn_and_a_restart_give_every_event_its_numbers(
    server: Server, seed: int, number: int
) -> None:
    features, (events, said) = SETS[number], random_case(seed, 60)
    expected, rows = oracle.compute(features, events, said), oracle.plain(events)
    state: Any = Turns(server, next(NAMES), features)
    for at in np.random.default_rng(seed).permutation(len(rows)):
        state.observe(rows[at])
    tell(state, oracle.plain(said), order=lambda one: (one["known_time"], one["recorded_at"]))
    assert answers(state, asking(rows, expected)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_in_a_long_stream_all_answers_are_those_of_the_state_in_process(server: Server, seed: int) -> None:
    random, features = np.random.default_rng(seed), SETS[0]
    events = oracle.random_events(random, 200, days=90)
    told = oracle.plain(oracle.random_labels(random, events))
    late = random.integers(0, 3 * features.memory_us // 2, len(events)).tolist()
    rows = [
        row for _, row in sorted(zip(late, oracle.plain(events), strict=True), key=lambda one: one[1]["time"] + one[0])
    ]
    shared: Any = Turns(server, next(NAMES), features)
    alone = OnlineState(features)
    for row in rows:
        assert shared.observe(row) == alone.observe(row)
        for said in (one for one in told if one["id"] == row["id"]):
            known = said["id"], said["label"] == 1, said["known_time"]
            assert shared.label(*known) == alone.label(*known)
    assert answers(shared, rows[-40:]) == answers(alone, rows[-40:])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["alone", "shared"])
def test_what_is_taken_back_is_not_shown(server: Server, seed: int, kind: str) -> None:
    features, (events, said) = SETS[0], random_case(seed, 30)
    state = OnlineState(features) if kind == "alone" else replica(server, next(NAMES), features)
    assert interrupted(state, events, said, seed) == uninterrupted(features, events, said, seed)[1]


@pytest.mark.parametrize("seed", range(3))
def test_a_state_filled_from_history_shows_it(server: Server, seed: int) -> None:
    events, said = random_case(seed, 60)
    expected, rows = oracle.compute(SETS[0], events, said), oracle.plain(events)
    state = replica(server, next(NAMES), SETS[0], lambda fresh: fresh.load(events.slice(0, 30), said))
    for row in rows[30:]:
        state.observe(row)
    tell(state, [one for one in oracle.plain(said) if one["id"] in {row["id"] for row in rows[30:]}])
    assert answers(state, rows) == expected


def test_ids_beyond_lua_s_numbers_tell_tied_events_apart(server: Server) -> None:
    alone, shared = OnlineState(SMALL), replica(server, next(NAMES), SMALL)
    rows = [event(2**60 + number, day) for number, day in enumerate((1, 1, 1, 1.25, 1.25))]
    for row in rows:
        assert shared.observe(row) == alone.observe(row)
    assert answers(shared, rows) == answers(alone, rows)


def test_events_that_are_tied_with_the_last_one_come_in_the_order_of_ids_not_of_bytes(server: Server) -> None:
    alone, shared = OnlineState(SMALL), replica(server, next(NAMES), SMALL)
    rows = [event(number, 1, amount=abs(number)) for number in (-1, 5, 6, 300)] + [event(7, 1.5)]
    assert [shared.observe(row) for row in rows] == [alone.observe(row) for row in rows]


def test_corrections_are_refused(server: Server) -> None:
    state = replica(server, next(NAMES), SMALL)
    state.observe(event(1, 0))
    with pytest.raises(InputError, match="corrections are not taken in"):
        state.correct(1, None, 0)
