"""A job from outside: what it prints, as it comes, until it has ended. Nobody waits for what cannot come."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from workbench import awaited
from workbench.errors import EnvironmentFault
from workbench.jobs.attempts import LIVE, Attempt, State
from workbench.jobs.connection import Connection
from workbench.progress import say

LOOK_EVERY_S = 0.5
QUIET_S = 10.0  # after so long without a word the cluster is asked whether the job still runs
AWAY_S = 20.0  # so long the cluster may be away: a tunnel that is opened again, a busy head
TELL_AFTER_S = 10.0  # a job that waits so long waits for room, and its user is told


def started(look: Callable[[], Attempt], limit_s: float | None = None) -> Attempt:
    """The job that one looks at, once it has begun or is over; with a limit, as it is then."""
    begun, told = time.monotonic(), False
    while (now := look()).state is State.pending:
        waited = time.monotonic() - begun
        if limit_s is not None and waited > limit_s:
            break
        if waited > TELL_AFTER_S and not told:
            told = True
            say(f"  {now.name} is pending: {now.message} `python -m workloads.submit stop {now.name}` ends the wait.")
        time.sleep(LOOK_EVERY_S)
    return now


def follow(cluster: Connection, name: str, show: Callable[[str], None]) -> Attempt:
    """The job once it is over; what it printed was shown once, whatever happened to the connection."""
    one = _Following(cluster, name, show)
    while True:
        try:
            if started(one.look).state is not State.pending:
                awaited.result(one.showing())
            if (now := one.look()).state not in LIVE:
                return now
        except EnvironmentFault:
            if known_gone(cluster, name) or time.monotonic() - one.heard_at > AWAY_S:  # the look may have hung
                raise
        time.sleep(LOOK_EVERY_S)


def known(cluster: Connection, name: str) -> Attempt:
    """The job as it is now; raises `EnvironmentFault` where the cluster knows no such job."""
    if (found := cluster.attempt(name)) is None:
        raise EnvironmentFault(
            f"{cluster.address} knows no job {name}. Where it did, its head was restarted and has forgotten its jobs:"
            " submit the same again, it goes on from what is done."
        )
    return found


def known_gone(cluster: Connection, name: str) -> bool:
    """Whether the cluster answers, and does not know the job."""
    with contextlib.suppress(EnvironmentFault):
        return cluster.attempt(name) is None
    return False


@dataclass
class _Following:
    """A job whose log is shown."""

    cluster: Connection
    name: str
    show: Callable[[str], None]
    shown: int = 0  # characters of the log
    heard_at: float = field(default_factory=time.monotonic)  # when the cluster last said anything

    def look(self) -> Attempt:
        """The job as it is now."""
        now = known(self.cluster, self.name)
        self.heard_at = time.monotonic()
        return now

    async def showing(self) -> None:
        """Show what comes, but not again what was shown, until job or connection end."""
        parts, at = self.cluster.tail(self.name), 0
        coming = asyncio.ensure_future(anext(parts))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=QUIET_S)
                if not done:
                    if self.look().state not in LIVE:
                        return
                    continue
                part, self.heard_at = coming.result(), time.monotonic()
                self.show(part[max(0, self.shown - at) :])
                at += len(part)
                self.shown = max(self.shown, at)
                coming = asyncio.ensure_future(anext(parts))
        except (StopAsyncIteration, OSError, RuntimeError):  # they have ended: the caller looks which of them
            return
        finally:
            coming.cancel()
