"""What goes wrong with Redis is said with its remedy, and leaves nothing half written."""

import time
from collections.abc import Iterator

import pytest

from tests.code.features import redis_server
from tests.code.features.redis_server import Server, needs_redis
from tests.code.features.test_online import SMALL, event
from workbench.errors import StateUnavailable
from workbench.features import redis_link
from workbench.features.redis_state import RedisState

pytestmark = needs_redis


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with redis_server.own(monkeypatch) as one:
        yield one


@pytest.fixture
def state(server: Server) -> RedisState:
    state = RedisState(SMALL, server.url, "faults")
    state.fill_once(lambda fresh: fresh.observe(event(1, 0)) and None)
    return state


def everything(server: Server) -> dict[bytes, bytes | None]:
    return {key: server.client.dump(key) for key in server.client.scan_iter()}


def test_a_redis_that_is_away_is_named_and_the_state_comes_back_with_a_new_one(
    state: RedisState, server: Server
) -> None:
    redis_server.stop(server)
    for ask in (lambda: state.observe(event(2, 1)), lambda: state.label(1, True, 0), lambda: len(state)):
        with pytest.raises(StateUnavailable, match=rf"{server.url} cannot be reached. Start it"):
            ask()
    again = redis_server.start(port=server.port)
    try:
        with pytest.raises(StateUnavailable, match=r"has lost the feature state .* Start the endpoint again"):
            state.observe(event(2, 1))
        state.fill_once(lambda fresh: fresh.observe(event(1, 0)) and None)
        assert state.observe(event(2, 0.5))[SMALL.names.index("now_count_1d")] == 2
    finally:
        redis_server.stop(again)


def test_a_flushed_state_answers_nothing_even_when_others_have_filled_it(state: RedisState, server: Server) -> None:
    server.client.flushall()
    RedisState(SMALL, server.url, "faults").fill_once(lambda _: None)
    with pytest.raises(StateUnavailable, match="has lost the feature state"):
        state.observe(event(2, 1))


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_wrong_password_is_said_without_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    monkeypatch.delenv(redis_link.PASSWORD)
    if password:
        monkeypatch.setenv(redis_link.PASSWORD, password)
    with pytest.raises(StateUnavailable, match=f"Set {redis_link.PASSWORD}") as caught:
        redis_link.check(server.url)
    assert "wrong" not in str(caught.value)
    assert redis_server.PASSWORD not in str(caught.value)


def test_a_full_redis_refuses_the_whole_event_label_and_correction(state: RedisState, server: Server) -> None:
    before = everything(server)
    server.client.config_set("maxmemory", 1)
    acts = (
        lambda: state.observe(event(2, 1)),
        lambda: state.label(1, True, 0),
        lambda: state.correct(1, None, 1),
        lambda: state.time_of(1),  # asked before a label is recorded, which could then not be taken in
    )
    for act in acts:
        with pytest.raises(StateUnavailable, match=r"is full. Raise its maxmemory"):
            act()
    server.client.config_set("maxmemory", 0)
    assert everything(server) == before
    assert state.observe(event(2, 0.5))[SMALL.names.index("now_count_1d")] == 2


def test_a_read_only_copy_is_refused(state: RedisState, server: Server) -> None:
    server.client.replicaof("127.0.0.1", redis_server.free_port())
    with pytest.raises(StateUnavailable, match="read-only copy"):
        state.observe(event(2, 1))


def test_a_redis_that_would_forget_on_its_own_is_refused(server: Server) -> None:
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StateUnavailable, match=r"maxmemory-policy=allkeys-lru: .* Set maxmemory-policy noeviction"):
        RedisState(SMALL, server.url, "faults").fill_once(lambda _: None)


def test_a_stuck_redis_is_given_up_after_a_second(
    state: RedisState, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.client_pause(10_000)
    started = time.monotonic()
    with pytest.raises(StateUnavailable, match="does not answer within 1 s"):
        state.observe(event(2, 1))
    assert time.monotonic() - started < 1.9


def test_scripts_that_redis_has_forgotten_are_sent_again(state: RedisState, server: Server) -> None:
    server.client.script_flush()
    assert state.observe(event(2, 0.5))[SMALL.names.index("now_count_1d")] == 2
