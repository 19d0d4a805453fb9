"""A job from outside: what it prints, as it comes, until it has ended. Nobody waits for what cannot come."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from workbench import awaited
from workbench.errors import EnvironmentFault
from workbench.jobs.attempts import LIVE, Attempt, State
from workbench.jobs.connection import Connection
from workbench.progress import say

LOOK_EVERY_S = 0.5
QUIET_S = 10.0  # after so long without a word the cluster is asked whether the job still runs
AWAY_S = 25.0  # so long the cluster may be away: a tunnel that is opened again, a busy head
TELL_AFTER_S = 10.0  # a job that waits so long waits for room, and its user is told


def started(cluster: Connection, name: str, limit_s: float | None = None) -> Attempt:
    """The job once it has begun, or is over; with a limit, as it is then."""
    begun, told = time.monotonic(), False
    while (now := known(cluster, name)).state is State.pending:
        waited = time.monotonic() - begun
        if limit_s is not None and waited > limit_s:
            break
        if waited > TELL_AFTER_S and not told:
            told = True
            say(f"  {name} is pending: {now.message} `python -m workloads.submit stop {name}` ends the wait.")
        time.sleep(LOOK_EVERY_S)
    return now


def follow(cluster: Connection, name: str, show: Callable[[str], None]) -> Attempt:
    """The job once it is over; what it printed was shown once, whatever happened to the connection."""
    shown, away_since = 0, None
    while True:
        try:
            if started(cluster, name).state is not State.pending:
                shown = awaited.result(_shown(cluster, name, show, shown))
            if (now := known(cluster, name)).state not in LIVE:
                return now
            away_since = None
        except EnvironmentFault:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > AWAY_S or known_gone(cluster, name):
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


async def _shown(cluster: Connection, name: str, show: Callable[[str], None], seen: int) -> int:
    """How many characters of the log have been shown; the first `seen` of them were before."""
    parts, at = cluster.tail(name), 0
    coming = asyncio.ensure_future(anext(parts))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=QUIET_S)
            if not done:
                if known(cluster, name).state not in LIVE:
                    return max(seen, at)
                continue
            part = coming.result()
            show(part[max(0, seen - at) :])
            at += len(part)
            coming = asyncio.ensure_future(anext(parts))
    except (StopAsyncIteration, OSError, RuntimeError, EnvironmentFault):  # job or connection ended: the caller looks
        return max(seen, at)
    finally:
        coming.cancel()
