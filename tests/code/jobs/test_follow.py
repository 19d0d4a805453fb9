"""What a job prints is shown once, whatever happens to the connection; nobody waits for what cannot come."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from workbench.errors import EnvironmentFault
from workbench.jobs import follow
from workbench.jobs.attempts import Attempt, State

NAME = "0123456789abcdef-1"
LOG = ["one\n", "two\n", "three\n"]


@dataclass
class Scripted:
    """A cluster whose answers and cut connections are written down beforehand."""

    states: list[State | Exception | None]
    cuts: list[int] = field(default_factory=list)  # after how many parts each connection breaks
    address: str = "http://head:8265"

    def attempt(self, name: str) -> Attempt | None:
        now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(now, Exception):
            raise now
        return now and Attempt(name, now, "waits for resources")

    async def tail(self, name: str) -> AsyncIterator[str]:
        cut = self.cuts.pop(0) if self.cuts else None
        for part in LOG[:cut]:
            yield part
        if cut is not None:
            raise ConnectionResetError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(follow, "LOOK_EVERY_S", 0.001)
    return


def followed(cluster: Any) -> tuple[Attempt, str]:
    shown: list[str] = []
    return follow.follow(cluster, NAME, shown.append), "".join(shown)


def test_a_job_is_shown_from_its_beginning_to_its_end() -> None:
    ended, shown = followed(Scripted([State.pending, State.running, State.succeeded]))
    assert (ended.state, shown) == (State.succeeded, "".join(LOG))


def test_a_connection_that_breaks_is_taken_up_where_it_was() -> None:
    ended, shown = followed(Scripted([State.running] * 6 + [State.failed], cuts=[1, 2]))
    assert (ended.state, shown) == (State.failed, "".join(LOG))


def test_a_cluster_that_is_away_for_a_moment_is_waited_for() -> None:
    away = EnvironmentFault("away")
    ended, shown = followed(Scripted([away, away, away, State.running, State.succeeded]))
    assert (ended.state, shown) == (State.succeeded, "".join(LOG))


def test_what_a_quiet_job_has_shown_is_not_shown_again_after_its_cluster_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Quiet(Scripted):
        async def tail(self, name: str) -> AsyncIterator[str]:
            yield LOG[0]
            await asyncio.sleep(0.05)
            yield LOG[1]

    monkeypatch.setattr(follow, "QUIET_S", 0.01)
    states = [State.running, EnvironmentFault("away"), State.running, State.running, State.succeeded]
    ended, shown = followed(Quiet(states))
    assert (ended.state, shown.count(LOG[0])) == (State.succeeded, 1)


def test_a_cluster_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "AWAY_S", 0.0)
    with pytest.raises(EnvironmentFault, match="away"):
        followed(Scripted([EnvironmentFault("away")]))


def test_a_job_that_a_restarted_head_has_forgotten_is_told_with_what_helps() -> None:
    with pytest.raises(EnvironmentFault, match=r"its head was restarted.*submit the same again"):
        followed(Scripted([State.running, None]))


def test_one_that_waits_for_room_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "TELL_AFTER_S", 0.0)
    followed(Scripted([State.pending, State.pending, State.pending, State.running, State.succeeded]))
    said = capsys.readouterr().err
    assert said.count("is pending: waits for resources") == 1
    assert f"stop {NAME}` ends the wait" in said
