"""Requests take turns: what an endpoint does that is asked for more than it can answer.

A request is answered as soon as it is read, and a turn of the event loop would answer all that lie in their sockets.
But it takes in only one new connection a turn (libuv's `uv__server_io`): the connections it has would keep the others
out, HAProxy's health checks among them. So a turn answers a few requests. The others wait here, where they can be
counted: by Serve, whose autoscaling goes by it, and by us, who refuse what would wait for too long. What must not keep
the answers out has a line of its own: the parts of batches, looks at how it is, and refusals, since whoever is refused
may send again at once.

More events to score than Serve has to count wait at the door, before it makes anything of them: what 640 requests have
in memory is more than a core's cache holds, and with it a twelfth fewer are answered.
"""

import asyncio
import time
from collections import deque
from typing import NamedTuple

ANSWER, PART, LOOK, REFUSAL = "answer", "part", "look", "refusal"
A_TURN = {ANSWER: 8, PART: 1, LOOK: 2, REFUSAL: 2}  # 640 connections are taken in within two seconds


def room(target_requests: float) -> int:
    """How many events to score are let in: two turns of them, and twice what is meant to wait, which Serve counts."""
    return 2 * A_TURN[ANSWER] + round(2 * target_requests)


class Waiting(NamedTuple):
    """A request that waits for its turn."""

    called: asyncio.Future[None]
    since: float


class Crowd:
    """The requests that wait, of each line in the order in which they came; `at_once` have a place inside."""

    def __init__(self, max_wait_s: float, at_once: int = 100) -> None:
        self._max_wait_s, self._at_once = max_wait_s, at_once
        self._door, self._looked_after = deque[Waiting](), False
        self._places: dict[object, float] = {}  # inside, and since when
        self._lines = {line: deque[Waiting]() for line in A_TURN}
        self._left: dict[str, int] | None = None  # how many more this turn is good for; None: none has begun

    @property
    def full(self) -> bool:
        """Whether a request inside has waited for too long, so that the next one is to be refused."""
        return self._too_long(self._lines[ANSWER])

    @property
    def shut(self) -> bool:
        """The same of those at the door as well: who would come to it now is to be refused."""
        return self.full or self._too_long(self._door)

    @property
    def outside(self) -> int:
        """How many wait at the door."""
        return len(self._door)

    def _too_long(self, waiting: deque[Waiting]) -> bool:
        return bool(waiting) and time.perf_counter() - waiting[0].since > self._max_wait_s

    async def enter(self) -> object:
        """A place inside, as soon as there is one; it is to be given back by `leave`."""
        if len(self._places) < self._at_once:  # then nobody waits
            return self._placed(object())
        one = _waiting()
        self._door.append(one)
        self._look_after()
        try:
            await one.called
        except asyncio.CancelledError:
            self.leave(one.called)  # it may have been let in, and has gone all the same
            raise
        return one.called

    def leave(self, place: object) -> None:
        """Give a place back: the next one has it."""
        if self._places.pop(place, None) is not None:
            self._let_in()

    def _placed(self, place: object) -> object:
        self._places[place] = time.perf_counter()
        return place

    def _let_in(self) -> None:
        while self._door and len(self._places) < self._at_once:
            called = self._door.popleft().called
            if not called.done():  # whoever asked may have gone
                called.set_result(None)
                self._placed(called)

    def _look_after(self) -> None:
        """Let nobody wait for long behind those whose bodies do not come, or who wait for the log."""
        if not self._looked_after:
            self._looked_after = True
            asyncio.get_running_loop().call_later(self._max_wait_s / 4, self._look)

    def _look(self) -> None:
        self._looked_after, now = False, time.perf_counter()
        for place in [one for one, since in self._places.items() if now - since > self._max_wait_s / 4]:
            self.leave(place)
        if self._door:
            self._look_after()

    async def turn(self, line: str = ANSWER) -> None:
        """Return when it is one's turn."""
        left = self._left or self._begin(dict(A_TURN))
        if left[line]:  # then nobody waits
            left[line] -= 1
            return
        one = _waiting()
        self._lines[line].append(one)
        await one.called

    def _begin(self, left: dict[str, int]) -> dict[str, int]:
        self._left = left
        asyncio.get_running_loop().call_soon(self._over)  # after all that is ready now
        return left

    def _over(self) -> None:
        """The next turn is of those who wait, if any do."""
        self._left = None
        called = {line: _call(self._lines[line], most) for line, most in A_TURN.items()}
        if any(called.values()):
            self._begin({line: most - called[line] for line, most in A_TURN.items()})


def _waiting() -> Waiting:
    return Waiting(asyncio.get_running_loop().create_future(), time.perf_counter())


def _call(line: deque[Waiting], most: int) -> int:
    """Call the first ones of a line; returns how many."""
    count = 0
    while line and count < most:
        called = line.popleft().called
        if not called.done():  # whoever asked may have gone
            called.set_result(None)
            count += 1
    return count
