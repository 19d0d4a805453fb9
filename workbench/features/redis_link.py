"""The way to one Redis: its scripts, the names of a view's keys, and every fault of it in the words of this project."""

import contextlib
import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workbench.errors import StateUnavailable
from workbench.features import redis_scripts as scripts

PASSWORD = "WORKBENCH_REDIS_PASSWORD"  # noqa: S105 - the name of the variable
FILLING, RENEW_S, DEAD_MS = b"filling:", 5.0, 30_000  # who fills says every 5 s that it lives
TIMEOUT_S = 1.0
TOGETHER = 8000  # arguments of commands that are sent at once
OLDEST = 7  # the first version whose scripts are refused whole where memory is full


class Link:
    """A connection to the state of one feature view."""

    def __init__(self, url: str, view: str) -> None:
        self.url, self.prefix, self.epoch = url, f"workbench:{{{view}}}:".encode(), b""
        # a connection that went stale is made again: whatever is sent twice counts once
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        limits: dict[str, Any] = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
        # one connection, not a pool of them: 20 us less per command
        limits |= {"password": os.environ.get(PASSWORD), "retry": retry, "single_connection_client": True}
        self.redis = self.ask(lambda: redis.Redis.from_url(url, **limits))
        self._keys = [self.key(name) for name in ("meta", "times", "events")]
        self._scripts = {
            text: self.redis.register_script(text)
            for text in (
                *(scripts.OBSERVE, scripts.TAKE_BACK, scripts.LOOK, scripts.SWAP),
                *(scripts.CLAIM, scripts.RENEW, scripts.WRITE, scripts.PUBLISH),
            )
        }

    def key(self, name: str) -> bytes:
        """The whole name of a key."""
        return self.prefix + name.encode()

    def run(self, script: str, keys: Iterable[bytes], *arguments: Any) -> Any:
        """What a script answers in the name of the state as it was filled."""
        return self.ask(lambda: self._scripts[script]([*self._keys, *keys], [self.epoch, *arguments]))

    def write(self, commands: Iterable[list[Any]]) -> None:
        """Send many commands, [name, key, ...] each, in the name of the state as it is filled."""
        pipe, waiting = self.redis.pipeline(transaction=False), 0
        for name, key, *rest in commands:
            self._scripts[scripts.WRITE]([*self._keys, key], [self.epoch, name, *rest], client=pipe)
            waiting += len(rest)
            if waiting > TOGETHER:
                self.ask(lambda: _sent(pipe))
                waiting = 0
        self.ask(lambda: _sent(pipe))

    def ask(self, question: Callable[[], Any]) -> Any:
        """What Redis answers; raises `StateUnavailable` where it does not."""
        try:
            return question()
        except redis.RedisError as error:
            raise StateUnavailable(f"Redis at {self.url} {_fault(error)}") from None

    def fill_once(self, fill: Callable[[], None], patience_s: float = 600) -> None:
        """Be one of those who share the state: the first one fills it, the others wait until it is filled."""
        self.ask(lambda: _check(self.redis.info(), self.url))
        self.epoch = mine = FILLING + secrets.token_hex(8).encode()
        until = time.monotonic() + patience_s
        while (ruling := self.run(scripts.CLAIM, (), DEAD_MS)) != mine and ruling.startswith(FILLING):
            if time.monotonic() > until:
                raise StateUnavailable(f"Redis at {self.url} is being filled for over {patience_s:g} s. See who does.")
            time.sleep(0.2)
        self.epoch = ruling
        if ruling == mine:
            self._fill(fill)

    def _fill(self, fill: Callable[[], None]) -> None:
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(done,), name="filling", daemon=True)
        renewing.start()
        try:
            self._wipe()
            fill()
            published = secrets.token_hex(8).encode()
            self.run(scripts.PUBLISH, (), published)
            self.epoch = published
        finally:
            done.set()
            renewing.join()

    def _renew(self, done: threading.Event) -> None:
        while not done.wait(RENEW_S):
            with contextlib.suppress(StateUnavailable):  # whoever fills meets the same fault, and says so
                self.run(scripts.RENEW, (), DEAD_MS)

    def _wipe(self) -> None:
        """Remove what an earlier filling left."""
        scan = self.redis.scan_iter(match=self.prefix + b"*", count=1000)
        left = self.ask(lambda: [key for key in scan if key != self._keys[0]])
        self.write(["UNLINK", *some] for some in _batches(left, 1000))


def _sent(pipe: Any) -> None:
    """Send what waits; raises the first refusal in Redis' own words, to which the pipe would add the command."""
    for answer in pipe.execute(raise_on_error=False):
        if isinstance(answer, redis.RedisError):
            raise answer


def check(url: str) -> None:
    """Raise `StateUnavailable` unless a state can be kept there."""
    link = Link(url, "")
    link.ask(lambda: _check(link.redis.info(), url))


def _check(about: dict[str, Any], url: str) -> None:
    """Refuse a Redis that would forget on its own, or that would write half of something."""
    if int(about["redis_version"].partition(".")[0]) < OLDEST:
        raise StateUnavailable(f"Redis at {url} has version {about['redis_version']}. Use {OLDEST}.0 or newer.")
    if (policy := about["maxmemory_policy"]).startswith("allkeys"):
        raise StateUnavailable(
            f"Redis at {url} has maxmemory-policy={policy}: it would forget events, and features would be wrong."
            " Set maxmemory-policy noeviction."
        )


def _fault(error: redis.RedisError) -> str:
    """What is wrong, and what to do."""
    for kinds, mark, words in FAULTS:
        if isinstance(error, kinds) and str(error).startswith(mark):
            return words
    return f"refused a command ({error}). See its log."


def _batches(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some


FAULTS: tuple[tuple[Any, str, str], ...] = (
    (
        (redis.AuthenticationError, redis.exceptions.NoPermissionError), "",
        f"refuses us. Set {PASSWORD} to its password, and give its user all commands on the keys workbench:*.",
    ),
    (
        redis.exceptions.OutOfMemoryError, "",
        "is full. Raise its maxmemory, or remove the states of views that are no longer served (serve/README.md).",
    ),
    (redis.exceptions.ReadOnlyError, "", "is a read-only copy. Let serve.redis_url name the primary."),
    (redis.BusyLoadingError, "", "is still loading its data. Ask again."),
    (
        redis.ResponseError, scripts.LOST,
        "has lost the feature state (restarted without a disk, or flushed). Start the endpoint again: it fills it.",
    ),
    (redis.ResponseError, "NOAUTH", f"wants a password. Set {PASSWORD}."),
    (redis.TimeoutError, "", f"does not answer within {TIMEOUT_S:g} s. See its load and its log."),
    (redis.ConnectionError, "", "cannot be reached. Start it, or correct serve.redis_url."),
)  # fmt: skip
