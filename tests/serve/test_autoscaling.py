"""Load that lasts adds a replica: the requests that wait for their turn are what Serve counts."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from serve import app, crowd
from serve.settings import Settings
from tests.code.features import redis_server
from tests.code.features.redis_server import needs_redis
from tests.serve.conftest import Live
from tests.serve.small import API_KEY, EVENT
from workbench.config import ServeConfig
from workbench.features import redis_link
from workbench.running import AutoscalingConfig, RunningConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session"), needs_redis]
AT_ONCE, TARGET, PATIENCE_S = 32, 4.0, 90.0


@pytest.fixture
def scaled(live: Live, shared: Settings) -> Iterator[str]:
    """The URL of an application that may have two replicas."""
    from ray import serve

    load = AutoscalingConfig(replicas=2, target_requests=TARGET, up_after_s=1.0)
    cfg = ServeConfig(replicas=1, cpus_per_replica=0.25, running=RunningConfig(autoscaling=load))
    options = app.options(cfg)
    options["ray_actor_options"]["runtime_env"]["env_vars"][redis_link.PASSWORD] = redis_server.PASSWORD
    try:
        given = dataclasses.replace(shared, application="scaled", at_once=crowd.room(TARGET))
        serve.run(app.application(given, **options), name="scaled", route_prefix="/s")
        yield f"http://127.0.0.1:{live.port}/s"
    finally:
        serve.delete("scaled")


def replicas() -> int:
    """How many answer."""
    from ray import serve

    status: Any = serve.status().applications["scaled"].deployments[app.DEPLOYMENT]
    return int(status.replica_states.get("RUNNING", 0))


@contextlib.asynccontextmanager
async def asking(url: str, at_once: int) -> AsyncIterator[None]:
    """So many connections that each ask again as soon as they have an answer."""
    numbers = itertools.count(1)

    async def ask(session: aiohttp.ClientSession) -> None:
        while True:
            async with session.post(f"{url}/v1/score", json={**EVENT, "id": next(numbers)}) as response:
                assert response.status == 200, await response.text()

    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {API_KEY}"}) as session:
        tasks = [asyncio.ensure_future(ask(session)) for _ in range(at_once)]
        try:
            yield
            assert not [one for one in tasks if one.done()], "all are still asking"
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_more_requests_at_once_than_a_replica_is_meant_to_have_add_one(scaled: str) -> None:
    assert await asyncio.to_thread(replicas) == 1
    async with asking(scaled, AT_ONCE):
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while await asyncio.to_thread(replicas) < 2:
            assert asyncio.get_running_loop().time() < until, f"{AT_ONCE} requests at once, {TARGET:g} meant: one still"
            await asyncio.sleep(0.5)
