"""A constant load in the background: so many requests a second, whether or not the ones before are answered."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
import uvloop

from workbench.config import Config
from workbench.errors import EnvironmentFault
from workloads import replay
from workloads.endpoint.live import Live

TIMEOUT_S = 30.0
AGAIN_S = 0.5  # before a request that got no answer is sent once more


@dataclass
class Seen:
    """What a client saw."""

    answers: dict[str, str] = field(default_factory=dict)  # the version that answered, by request id
    failed: list[str] = field(default_factory=list)  # why, of requests that got no decision
    again: int = 0  # requests that were sent once more
    sent: int = 0


class Load:
    """Sends events of the replay, each once, from a thread of its own."""

    def __init__(self, cfg: Config, endpoint: Live, per_s: float, retries: int) -> None:
        self._cfg, self._endpoint, self._pause_s, self._retries = cfg, endpoint, 1 / per_s, retries
        self._bodies = iter(replay.bodies(cfg, replay.events_of(cfg)))
        self._stop, self._ended, self.seen = threading.Event(), False, Seen()

    @contextlib.contextmanager
    def running(self) -> Iterator[Seen]:
        """What is seen as long as the block; at its end all that was sent is answered, or has failed."""
        thread = threading.Thread(target=lambda: uvloop.run(self._send()), name="load")
        self._stop.clear()
        thread.start()
        try:
            yield self.seen
        finally:
            self._stop.set()
            thread.join()
            if self._ended:
                raise EnvironmentFault(
                    f"All {self.seen.sent:,} events of the replay were sent before the end. Send fewer a second, or"
                    " replay more days: replay.days."
                )

    async def _send(self) -> None:
        tasks, due = set[asyncio.Task[None]](), time.monotonic()
        async with replay.client(self._cfg, self._endpoint) as session:
            while not self._stop.is_set():
                if (body := next(self._bodies, None)) is None:
                    self._ended = True
                    break
                task = asyncio.create_task(self._ask(session, body, f"steady-{self.seen.sent}"))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                self.seen.sent, due = self.seen.sent + 1, due + self._pause_s
                await asyncio.sleep(max(due - time.monotonic(), 0))
            await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession, body: bytes, name: str) -> None:
        for left in reversed(range(self._retries + 1)):
            answer = await self._answer(session, body, name)
            if isinstance(answer, dict):
                self.seen.answers[name] = answer["model_version"]
                return
            if left:
                self.seen.again += 1
                await asyncio.sleep(AGAIN_S)
        self.seen.failed.append(str(answer))

    async def _answer(self, session: aiohttp.ClientSession, body: bytes, name: str) -> dict[str, str] | str:
        timeout, headers = aiohttp.ClientTimeout(total=TIMEOUT_S), {"x-request-id": name}
        try:
            async with session.post(
                f"{self._endpoint.url}/v1/score", data=body, headers=headers, timeout=timeout
            ) as got:
                if got.status == 200:
                    found: dict[str, str] = await got.json()
                    return found
                return f"{got.status}: {(await got.text())[:200]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__


def until(seen: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Return when `seen()` is true; raise `EnvironmentFault` when it takes too long."""
    end = time.monotonic() + timeout_s
    while not seen():
        if time.monotonic() > end:
            raise EnvironmentFault(f"{what} did not happen within {timeout_s:g} s. See Ray Serve's logs.")
        time.sleep(0.05)
