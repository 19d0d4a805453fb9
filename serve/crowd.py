"""Requests take turns: what an endpoint does that is asked for more than it can answer.

A request is answered in one step of the event loop, and a turn of the loop would answer all that lie in their sockets.
But it takes in only one new connection a turn (libuv's `uv__server_io`): the connections it has would keep the others
out, HAProxy's health checks among them. So a turn answers a few requests. The others wait here, where they can be
counted: by Serve, whose autoscaling goes by it, and by us. Once one has waited for too long, those that come are
refused, by turns as well: a refusal costs a part of an answer, and whoever sends again at once must not make them all.
"""

import asyncio
import time
from collections import deque
from typing import NamedTuple

A_TURN, REFUSED_A_TURN = 4, 2  # requests: some 2 ms, so that 640 connections are taken in within two seconds


class Waiting(NamedTuple):
    """A request that waits for its turn."""

    called: asyncio.Future[None]
    since: float


class Crowd:
    """The requests that wait, in the order in which they came."""

    def __init__(self, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._waiting, self._refused = deque[Waiting](), deque[Waiting]()
        self._left: int | None = None  # how many more this turn answers; None: none has begun

    @property
    def full(self) -> bool:
        """Whether a request has waited for too long, so that the next one is to be refused."""
        return bool(self._waiting) and time.perf_counter() - self._waiting[0].since > self._max_wait_s

    async def turn(self) -> None:
        """Return when it is one's turn to be answered."""
        if self._left is None:
            self._begin(A_TURN)
        if self._left:  # then nobody waits
            self._left -= 1
        else:
            await _called(self._waiting)

    async def turned_away(self) -> None:
        """Return when it is one's turn to be refused."""
        if self._left is None:
            self._begin(A_TURN)
        await _called(self._refused)

    def _begin(self, left: int) -> None:
        self._left = left
        asyncio.get_running_loop().call_soon(self._over)  # after all that is ready now

    def _over(self) -> None:
        """The next turn is of those who wait, if any do."""
        self._left = None
        refused, answered = _call(self._refused, REFUSED_A_TURN), _call(self._waiting, A_TURN)
        if refused or answered:
            self._begin(A_TURN - answered)


async def _called(line: deque[Waiting]) -> None:
    one = Waiting(asyncio.get_running_loop().create_future(), time.perf_counter())
    line.append(one)
    await one.called


def _call(line: deque[Waiting], most: int) -> int:
    """Call the first ones of a line; returns how many."""
    count = 0
    while line and count < most:
        called = line.popleft().called
        if not called.done():  # whoever asked may have gone
            called.set_result(None)
            count += 1
    return count
