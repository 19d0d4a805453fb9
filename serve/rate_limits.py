"""How many requests a client may send: token buckets, in this process or, where replicas share them, in Redis."""

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
local needed, whole = tonumber(ARGV[4]), ARGV[5] == '1'
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
left = math.min(burst, left + math.max(0, now - at) * rate)
local given = 0
if left >= needed then given = whole and wanted or math.min(wanted, math.floor(left)) end
redis.call('HSET', KEYS[1], 'left', tostring(left - given), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left + given) / rate) + 1000)
if given > 0 then return {given, 0} end
return {0, math.ceil((needed - left) / rate)}
"""


class Limits(Protocol):
    """Counts requests."""

    def take(self, client: str, rate: float, cost: int = 1) -> float:
        """0 where a request that counts as `cost` may pass; else the seconds after which it may."""


def of(application: str, burst_s: float, redis_url: str | None) -> Limits:
    """Buckets in this process, right for its only replica; or those that all replicas share."""
    return InProcess(burst_s) if redis_url is None else Shared(application, burst_s, redis_url)


class InProcess:
    """Buckets of this process alone."""

    def __init__(self, burst_s: float) -> None:
        self._burst_s = burst_s
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, client: str, rate: float, cost: int = 1) -> float:
        """0 where a request that counts as `cost` may pass; else the seconds after which it may.

        What costs more than a full bucket holds passes when it is full, and leaves a debt.
        """
        now, burst = time.monotonic(), max(1.0, rate * self._burst_s)
        left, at = self._buckets.get(client, (burst, now))
        left, needed = min(burst, left + (now - at) * rate), min(float(cost), burst)
        passes = left >= needed
        self._buckets[client] = (left - cost * passes, now)
        if len(self._buckets) > CLIENTS:
            self._buckets = {
                name: one for name, one in self._buckets.items() if one[0] < 0 or now - one[1] < self._burst_s
            }
        return 0.0 if passes else (needed - left) / rate


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

    def take(self, client: str, rate: float, cost: int = 1) -> float:
        """0 where a request that counts as `cost` may pass; else the seconds after which it may."""
        now, burst = time.monotonic(), max(1.0, rate * self._burst_s)
        if cost > 1:
            given, wait_s = self._asked(client, rate, burst, cost, whole=True)
            return 0.0 if given else wait_s
        left, until = self._held.get(client, (0, 0.0))
        if now >= until:
            left, wait_s = self._asked(client, rate, burst, min(max(1, int(rate * LEASE_S)), int(burst)))
            until = now + (KEPT_S if left else wait_s)
        if not left:
            self._held[client] = (0, until)
            return until - now
        self._held[client] = (left - 1, until if left > 1 else 0.0)
        self._forget(now)
        return 0.0

    def _asked(self, client: str, rate: float, burst: float, wanted: int, whole: bool = False) -> tuple[int, float]:
        """How many of the wanted requests may pass, and else in how many seconds; `whole`: all of them or none."""
        needed = min(float(wanted), burst) if whole else 1
        try:
            given, wait_ms = self._script([self._prefix + client], [rate, burst, wanted, needed, int(whole)])
        except self._errors as error:
            raise StateUnavailable(
                f"Redis at {self._url} does not count requests ({type(error).__name__}). See its log."
            ) from None
        return int(given), max(wait_ms, 1) / 1000

    def _forget(self, now: float) -> None:
        if len(self._held) > CLIENTS:
            self._held = {name: one for name, one in self._held.items() if one[1] > now}
