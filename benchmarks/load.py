"""Real transactions at a rate of your choosing, whatever the endpoint does: percentiles, and a picture of the run.

Open loop: each request is due at a time that is fixed beforehand, and its latency counts from then. Where the endpoint
stalls, those that had to wait for it are in the percentiles (a closed loop, or one that counts from the sending, leaves
them out: coordinated omission). How late this program itself was is told beside it.

    python -m benchmarks.load [--rate 200] [--seconds 60] [--arrivals poisson] [--url URL] [--shadows 1]
                              [--picture FILE.svg] [--json FILE] [KEY=VALUE ...]

Without --url an endpoint of its own is started on copies of the tables, so that no decision of a load stays in the
store. With it the key comes from WORKBENCH_API_KEY or the keys' folder, and the decisions are recorded there.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks import apart, load_picture, table
from benchmarks.connections import Connections, until
from benchmarks.table import Row
from workbench.config import Config
from workbench.errors import EnvironmentFault, InputError
from workbench.feedback import prediction_log
from workbench.governance.keys import Keys
from workbench.progress import say
from workloads import deploy, door, parity, register, replay
from workloads.endpoint.live import live

ASKED_MS = {50.0: 5.0, 99.0: 15.0}  # percentile: what is asked of the whole path at 200 requests/s on two cores
TIMEOUT_S = 60.0  # for the answers, after the last request is sent
SHOWN = (50.0, 90.0, 99.0, 99.9, 100.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What came of N requests, in the order in which they were due. Times in s since the first was due."""

    due_N: Floats
    sent_N: Floats
    done_N: Floats
    status_N: NDArray[np.int64]  # 0: no answer

    @property
    def latency_ms(self) -> Floats:
        """From when a request was due to its answer, or from when it was sent: a timer may be a millisecond early."""
        return (self.done_N - np.minimum(self.due_N, self.sent_N)) * 1000

    @property
    def late_ms(self) -> Floats:
        """From when a request was due to when it was its turn to be sent: this program's own part."""
        return (self.sent_N - self.due_N) * 1000

    @property
    def counts(self) -> dict[int, int]:
        """How many got each status."""
        return dict(sorted(Counter(self.status_N.tolist()).items()))


def due_times(rate: float, seconds: float, arrivals: str, seed: int = 0) -> Floats:
    """When each request is due: evenly, or by a Poisson process, as independent customers come."""
    count = round(rate * seconds)
    if count < 1:
        raise InputError(f"--rate {rate:g} and --seconds {seconds:g} make no request. Raise one.")
    if arrivals == "even":
        return np.arange(count) / rate
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count)) - 1 / rate


async def replayed(url: str, key: str, bodies: Sequence[bytes], due_N: Floats, connections: int = 256) -> Seen:
    """Send the bodies, each when it is due or as soon as a connection is free, and wait for all answers."""
    count, waiting = len(due_N), deque[int]()
    sent_N, done_N, status_N = np.zeros(count), np.full(count, np.nan), np.zeros(count, np.int64)

    def send() -> None:
        while waiting and to.free:
            number = waiting.popleft()
            to.ask(number, bodies[number % len(bodies)])

    def answered(number: int, status: int) -> None:
        done_N[number], status_N[number] = time.perf_counter() - started, status
        send()

    gc.disable()  # its pauses would be counted to the endpoint
    try:
        async with Connections(url, key, connections, answered).opened() as to:
            started = time.perf_counter() + 0.1
            for number, due in enumerate(due_N.tolist()):
                wait_s = started + due - time.perf_counter()
                if wait_s > 0:  # else it is overdue: no pause may hide that
                    await asyncio.sleep(wait_s)
                waiting.append(number)
                sent_N[number] = time.perf_counter() - started  # that no connection is free is not this program's part
                send()
            await until(lambda: to.dead or not np.isnan(done_N).any(), TIMEOUT_S)
            done_N[np.isnan(done_N)] = time.perf_counter() - started
    finally:
        gc.enable()
    return Seen(due_N, sent_N, done_N, status_N)


def rows(rate: float, seen: Seen) -> list[Row]:
    """The percentiles beside what is asked, and what was not answered beside nothing."""
    latency, case = seen.latency_ms, f"open loop, {rate:g} requests/s"
    found = [
        Row(f"p{percentile:g}, {case}", float(np.percentile(latency, percentile)), asked, "ms")
        for percentile, asked in ASKED_MS.items()
    ]
    answered = seen.counts.get(200, 0)
    return [*found, Row(f"answered with 200, {case}", answered, len(latency), "requests")]


def told(seen: Seen) -> str:
    """The figures in words."""
    figures = zip(SHOWN, np.percentile(seen.latency_ms, SHOWN), strict=True)
    listed = ", ".join(f"p{percentile:g} {value:.2f}" for percentile, value in figures)
    late = np.percentile(seen.late_ms, 99)
    return f"  {listed} ms from when a request was due (sent late by this program: p99 {late:.2f} ms); {seen.counts}"


@contextlib.contextmanager
def asked(cfg: Config, url: str | None, shadows: int = 0) -> Iterator[tuple[str, str]]:
    """Where to send to, and the key."""
    if url is not None:
        yield url.rstrip("/"), Keys(cfg.keys.folder).api()
        return
    with apart.prepared(cfg):
        version = register.run(cfg)  # the same one, in the store that is apart
        deploy.release(cfg, version)
        apart.shadowed(cfg, version, shadows)
        with live(cfg, version, follows=True) as endpoint:
            yield endpoint.url, endpoint.api_key
            if shadows:
                endpoint.drained()
                log = prediction_log.shadows(version.store, parity.log_name(cfg))
                say(f"  {len(log.read(['request_id'])):,} scores of shadows are recorded")


def main() -> None:
    """Load, and say what was seen."""
    parser = table.parser(__doc__)
    parser.add_argument("--rate", type=float, default=200, help="requests/s")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--arrivals", choices=("even", "poisson"), default="poisson")
    parser.add_argument("--url", help="of an endpoint that is live")
    parser.add_argument(
        "--shadows", type=int, default=0, choices=range(4), help="that score beside, of an endpoint of its own"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="an SVG")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        if arguments.url and arguments.shadows:
            raise InputError("--shadows are of an endpoint of its own, which --url is not. Leave one of them out.")
        due_N = due_times(arguments.rate, arguments.seconds, arguments.arrivals)
        cfg = apart.configured(arguments.overrides)
        bodies = replay.bodies(cfg, replay.events_of(cfg).slice(0, len(due_N)))
        with asked(cfg, arguments.url, arguments.shadows) as (url, key):
            seen = uvloop.run(replayed(f"{url}/v1/score", key, bodies, due_N))
        if not seen.counts.get(200):
            raise EnvironmentFault(f"{url} answered none of {len(due_N):,} requests with 200: {seen.counts}.")
        say(told(seen))
        found = rows(arguments.rate, seen)
        print(table.text(found))
        if arguments.json:
            table.write(arguments.json, found)
        if arguments.picture:
            arguments.picture.write_bytes(load_picture.svg(seen))

    sys.exit(door.guarded(work))


if __name__ == "__main__":
    main()
