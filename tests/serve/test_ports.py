"""Only what cannot be bound to loopback is open beyond it, each in the README's list, and none of that scores."""

import asyncio
import os
import re
from pathlib import Path

import aiohttp
import pytest

from tests.loop.commands import wait_until
from tests.serve import sockets
from tests.serve.conftest import Live
from tests.serve.small import API_KEY, EVENT
from tests.serve.sockets import Listener

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
README = Path(__file__).resolve().parents[2] / "serve" / "README.md"
SINGLE = ("dashboard.py", "monitor.py")
NAMED = ("haproxy", "gcs_server", "raylet", "driver", "DashboardAgent", "RuntimeEnvAgent", *SINGLE)


def listed() -> dict[str, set[int]]:
    """Who may listen beyond loopback, and the fixed ports that the README gives."""
    section = README.read_text().partition("## Ports")[2]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    return {name: set(map(int, re.findall(r"\d+", row[1]))) for row in rows for name in re.findall(r"`(.*?)`", row[0])}


def open_now() -> set[Listener]:
    """What is open beyond loopback."""
    return {one for one in sockets.listeners(os.getpid()) if not one.closed}


def kind(one: Listener) -> str:
    """The name that the README has for it: a process that Ray has started for an actor or tasks is a worker."""
    name = one.owner.removeprefix("ray::")
    started = one.owner.startswith("ray::") or name == "default_worker.py"
    return "worker" if started and name not in NAMED else name


def expected() -> set[str]:
    """Who is in the README, without those whose one fixed port another Ray on this machine has taken."""
    own = {one.port for one in open_now()}
    single = {name: min(ports) for name, ports in listed().items() if name in SINGLE}
    return set(listed()) - {name for name, port in single.items() if sockets.addresses(port) and port not in own}


def test_those_that_listen_beyond_loopback_are_the_ones_in_the_readme(live: Live) -> None:
    assert set(listed()) == {*NAMED, "worker"}
    wait_until(lambda: {kind(one) for one in open_now()} >= expected(), 20)  # agents come up on their own time
    assert {kind(one) for one in open_now()} == expected()


def test_haproxy_opens_its_two_ports_and_never_the_endpoints(live: Live) -> None:
    ports = {one.port for one in open_now() if one.owner == "haproxy"}
    assert ports == listed()["haproxy"] == {8404, 9101}
    assert live.port not in {one.port for one in open_now()}


def test_what_serves_events_listens_on_loopback(live: Live) -> None:
    closed = {one.owner: one for one in sockets.listeners(os.getpid()) if one.closed}
    assert {"haproxy", "ray::ProxyActor", "ray::ServeReplica"} <= set(closed)
    assert closed["haproxy"].port == live.port
    for owner in ("ray::ProxyActor", "ray::ServeReplica"):
        assert sockets.addresses(closed[owner].port) == {"127.0.0.1"}, owner


async def test_no_port_that_is_open_scores(live: Live) -> None:
    ports = {one.port for one in open_now()}
    assert len(ports) > 8
    scored = await asyncio.gather(*(scores(port) for port in (live.port, *sorted(ports))))
    assert scored == [True, *[False for _ in ports]], "the endpoint's own does, so the request is a good one"


async def scores(port: int) -> bool:
    """Whether an event that is sent to this port with the key is answered with a score."""
    key = {"authorization": f"Bearer {API_KEY}"}
    try:
        async with (
            aiohttp.ClientSession(headers=key, timeout=aiohttp.ClientTimeout(10)) as session,
            session.post(f"http://127.0.0.1:{port}/v1/score", json=EVENT) as response,
        ):
            return response.status == 200 and "score" in await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
