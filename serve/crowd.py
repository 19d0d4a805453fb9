"""How long a request may wait behind others: what an endpoint does that is asked for more than it can answer.

A request is answered in one step of the event loop, so that no queue of requests forms that could be counted: those
that wait lie in their sockets. Each turn of the loop takes all that lies there and answers one after the other. What
comes up when the turn has lasted for too long already is refused, which costs half of an answer: the others' wait here
has a bound, of about two turns. What waits in front of the replica, in HAProxy, is not seen here.
"""

import asyncio
import time

from serve.answers import Refusal


class Crowd:
    """The requests of one turn of the event loop at hand."""

    def __init__(self, max_wait_s: float, retry_after_s: float) -> None:
        self._max_wait_s, self._retry_after = max_wait_s, f"{retry_after_s:g}"
        self._began: float | None = None  # when this turn answered its first request

    def admit(self) -> None:
        """Let one more request in; raises `Refusal` where the turn has lasted for too long."""
        if self._began is None:
            self._began = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._over)  # after all that is ready now
        elif time.perf_counter() - self._began > self._max_wait_s:
            raise Refusal(503, "Too many requests at once; send it again.", retry_after=self._retry_after)

    def _over(self) -> None:
        self._began = None
