"""Are the numbers that were served the numbers that are trained on, at scale, under concurrent clients and a kill?

The payments are sent over HTTP as in a replay, but any connection takes any event, so that events of one customer
overtake each other. In the middle a replica is killed; whatever got no answer is sent again. Then every feature of
every logged row is computed again offline, as of what had arrived, and compared bit for bit: once with the state in
process, once with two replicas that share it in Redis. Peer: the same comparison after one number was moved by one unit
in its last place, which must be found. The rows say how many numbers differ; the exit code is 1 if any do.

    python -m benchmarks.parity [--json FILE] [--events 100000] [KEY=VALUE ...]
"""

import asyncio
import copy
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pyarrow as pa
import uvloop

from benchmarks import apart, online_features, table
from benchmarks.table import Row
from workbench import cluster
from workbench.config import Config
from workbench.errors import EnvironmentFault, GateRefused
from workbench.progress import say
from workloads import door, parity, register, replay
from workloads.endpoint.live import Live, live

QUICK = ("train.families=[xgboost]", "train.xgboost.rounds=5", "evaluate.published=null", "serve.compact_every_s=1")
TIME_LIMIT_S = 1800.0
PAUSE_S = 0.05  # before what got no answer is sent again
HAPROXY_SAYS = b"Internal Server Error"  # of a replica that ended in the middle of a request; our own faults are JSON


def main() -> None:
    """Measure and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="that are sent to each side")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration, as for any step")
    arguments = parser.parse_args()

    def work() -> None:
        # Redis first: Ray's processes inherit its password from the environment
        with tempfile.TemporaryDirectory(prefix="wb-parity-") as folder, online_features.own_redis() as url:
            cfg = apart.configured([*QUICK, f"storage.root={folder}/base", *arguments.overrides])
            with cluster.session():
                register.run(cfg)
                rows = [measured(case, one, arguments.events) for case, one in sides(cfg, Path(folder), url)]
        table.tell(rows, arguments.json)
        if any(row.ours for row in rows):
            raise GateRefused("Served numbers differ from the offline ones. See the table.")

    sys.exit(door.guarded(work))


def sides(cfg: Config, folder: Path, redis_url: str) -> Iterator[tuple[str, Config]]:
    """Both sides, each with a copy of the tables."""
    cfg.serve.redis_url = redis_url
    for name, state, replicas in (("in process", "memory", 1), ("two replicas, Redis", "redis", 2)):
        own = copy.deepcopy(cfg)
        own.serve.state, own.serve.replicas = state, replicas
        (folder / name).mkdir()
        apart.set_apart(own, folder / name)
        yield name, own


@dataclasses.dataclass
class Sent:
    """What the client saw."""

    kill_at: int
    answered: int = 0
    again: int = 0  # requests that got no answer, or a refusal to be repeated, and were sent again

    async def post(self, session: aiohttp.ClientSession, url: str, body: bytes) -> None:
        """Send an event until it is answered."""
        while not await _answered(session, url, body):
            self.again += 1
            await asyncio.sleep(PAUSE_S)
        self.answered += 1


def measured(case: str, cfg: Config, count: int) -> Row:
    """How many numbers differ after a replay with a kill in its middle."""
    events = replay.events_of(cfg).slice(0, count)
    if events.num_rows < count:
        raise EnvironmentFault(f"There are {events.num_rows:,} events behind replay.start. Use a smaller --events.")
    sent, started = Sent(count // 2), time.monotonic()
    with live(cfg) as endpoint:
        uvloop.run(asyncio.wait_for(_replay(cfg, endpoint, events, sent), TIME_LIMIT_S))
        seconds = time.monotonic() - started
        endpoint.drained()
    found = parity.of_log(cfg)
    say(f"  {case}: {found.events:,} events in {seconds:.0f} s, {sent.again:,} requests sent again after the kill,")
    say(f"  {found.overtaken:,} rows overtaken; {found.differing:,} of {found.cells:,} numbers differ")
    if found.events != count or not found.control:
        raise GateRefused(f"{case}: {found.events:,} of {count:,} events were compared, control {found.control}.")
    return Row(f"{case}, of {found.cells:,} numbers", found.differing, 1, "differ")


async def _replay(cfg: Config, endpoint: Live, events: pa.Table, sent: Sent) -> None:
    told = replay.told_labels(cfg, *replay.clock(cfg, events))
    async with replay.client(cfg, endpoint) as session:
        for rows, learned in replay.steps(cfg, events, told):
            await replay.tell(cfg, session, endpoint.url, learned)
            bodies = iter(replay.bodies(cfg, rows))
            lanes = (_lane(cfg, session, endpoint.url, bodies, sent) for _ in range(cfg.replay.connections))
            await asyncio.gather(*lanes)


async def _lane(cfg: Config, session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes], sent: Sent) -> None:
    for body in bodies:
        await sent.post(session, f"{url}/v1/score", body)
        if sent.answered == sent.kill_at:
            _kill_replica(cfg.serve.application)


async def _answered(session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with session.post(url, data=body) as response:
            said = await response.read()
    except (aiohttp.ClientError, TimeoutError):
        return False
    if response.status not in (200, 503) and said != HAPROXY_SAYS:
        raise EnvironmentFault(f"{url} answered {response.status}. See its log.")
    return response.status == 200


def _kill_replica(application: str) -> None:
    """End one replica at once, as the kernel would; Serve starts another."""
    import ray
    from ray.util import list_named_actors

    replicas = [one for one in list_named_actors(all_namespaces=True) if f"REPLICA::{application}#" in one["name"]]
    ray.kill(ray.get_actor(replicas[0]["name"], replicas[0]["namespace"]))


if __name__ == "__main__":
    main()
