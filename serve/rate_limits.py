"""How many requests a client may send: token buckets, in this process or, where replicas share them, in Redis."""

import math
import os
import time
from typing import Any, Protocol

from workbench.errors import StateUnavailable

TIMEOUT_S = 1.0
LEASE_S = 0.05  # so much of a rate a replica takes at once: of a hundred requests a second it asks for one in five
KEPT_S = 1.0  # after which a replica forgets what it took and did not use
CLIENTS = 10_000  # buckets after which the full ones are forgotten
BUCKET = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local rate, burst, wanted = tonumber(ARGV[1]) / 1000, tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
left = math.min(burst, left + math.max(0, now - at) * rate)
local given = math.min(wanted, math.floor(left))
redis.call('HSET', KEYS[1], 'left', tostring(left - given), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate) + 1000)
if given > 0 then return {given, 0} end
return {0, math.ceil((1 - left) / rate)}
"""


class Limits(Protocol):
    """Counts requests."""

    def take(self, client: str, rate: float) -> float:
        """0 where one more request may pass; else the seconds after which one may."""


def of(application: str, burst_s: float, redis_url: str | None) -> Limits:
    """Buckets in this process, right for its only replica; or those that all replicas share."""
    return InProcess(burst_s) if redis_url is None else Shared(application, burst_s, redis_url)


class InProcess:
    """Buckets of this process alone."""

    def __init__(self, burst_s: float) -> None:
        self._burst_s = burst_s
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, client: str, rate: float) -> float:
        """0 where one more request may pass; else the seconds after which one may."""
        now, burst = time.monotonic(), max(1.0, rate * self._burst_s)
        left, at = self._buckets.get(client, (burst, now))
        left = min(burst, left + (now - at) * rate)
        passes = left >= 1
        self._buckets[client] = (left - passes, now)
        if len(self._buckets) > CLIENTS:
            self._buckets = {name: one for name, one in self._buckets.items() if now - one[1] < self._burst_s}
        return 0.0 if passes else (1 - left) / rate


class Shared:
    """Buckets in Redis: one script takes a few requests' worth at once, so that most requests ask nobody.

    No client gets more than its rate and burst from all replicas together, but for what a replica took within the last
    second and had not used.
    """

    def __init__(self, application: str, burst_s: float, url: str) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from workbench.features.redis_link import PASSWORD

        # a stale connection is made again at once; to wait for a server that is away would hold up all requests
        limits: dict[str, Any] = {"retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))}
        limits |= {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "single_connection_client": True}
        self._errors, self._url, self._burst_s = redis.RedisError, url, burst_s
        self._prefix = f"workbench:limits:{application}:"
        self._redis = redis.Redis.from_url(url, password=os.environ.get(PASSWORD), **limits)
        self._script = self._redis.register_script(BUCKET)
        self._held: dict[str, tuple[int, float]] = {}  # requests that may pass, until when; 0: none does

    def take(self, client: str, rate: float) -> float:
        """0 where one more request may pass; else the seconds after which one may."""
        now = time.monotonic()
        left, until = self._held.get(client, (0, 0.0))
        if now >= until:
            left, until = self._asked(client, rate, now)
        if not left:
            self._held[client] = (0, until)
            return until - now
        self._held[client] = (left - 1, until if left > 1 else 0.0)
        return 0.0

    def _asked(self, client: str, rate: float, now: float) -> tuple[int, float]:
        burst = max(1.0, rate * self._burst_s)
        wanted = min(max(1, math.floor(rate * LEASE_S)), math.floor(burst))
        try:
            given, wait_ms = self._script([self._prefix + client], [rate, burst, wanted])
        except self._errors as error:
            raise StateUnavailable(
                f"Redis at {self._url} does not count requests ({type(error).__name__}). See its log."
            ) from None
        if len(self._held) > CLIENTS:
            self._held = {name: one for name, one in self._held.items() if one[1] > now}
        return int(given), now + (KEPT_S if given else max(wait_ms, 1) / 1000)
