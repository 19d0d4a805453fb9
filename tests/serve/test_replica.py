"""What a replica holds for good is kept from the garbage collector, of what it makes afterwards all but cycles."""

import asyncio
import gc
import json
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.requests import Request

from serve import replica as replicas
from serve.answers import Refusal
from serve.endpoint import Endpoint
from serve.principals import Asked
from serve.replica import Replica
from serve.settings import Settings
from tests.loop import commands
from tests.serve.small import API_KEY, EVENT, settings
from tests.serve.test_access import until
from tests.serve.test_endpoint import LABEL, call
from workbench.data.store import Store

ROOT = Path(__file__).resolve().parents[2]


class Cycle:
    """What refers to itself."""

    own: "Cycle"


@pytest.fixture
def replica(store: Store, tmp_path: Path) -> Iterator[Replica]:
    one = Replica(settings(store, tmp_path))
    yield one
    one.ended.set()


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.unfreeze()


def test_what_it_begins_with_is_not_looked_through_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "KEEP_EVERY_S", 3600)
    replica = Replica(settings(store, tmp_path))
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is replica.service for one in gc.get_objects())
    later: list[object] = []
    later.append(later)
    assert any(one is later for one in gc.get_objects())
    replica.ended.set()


@pytest.mark.usefixtures("replica")
def test_what_has_come_since_is_kept_from_it_soon_and_cycles_are_freed_before() -> None:
    gc.disable()  # by itself it frees nothing meanwhile
    kept, cycle = [object()], Cycle()
    gone, cycle.own = weakref.ref(cycle), cycle
    del cycle
    assert until(lambda: gone() is None)
    assert until(lambda: not any(one is kept for one in gc.get_objects()))


def test_an_endpoint_in_a_process_of_others_leaves_their_objects_alone(store: Store, tmp_path: Path) -> None:
    gc.unfreeze()
    Endpoint(settings(store, tmp_path))
    assert not until(lambda: gc.get_freeze_count() > 0, 0.5)


@pytest.mark.parametrize(
    ("path", "body", "key", "status"),
    [
        ("/v1/score", b"{}", None, 401),
        ("/v1/none", b"{}", f"Bearer {API_KEY}", 404),
        ("/v1/score", b"{}", f"Bearer {API_KEY}", 422),
        ("/v1/score", b"{", f"Bearer {API_KEY}", 400),
        ("/v1/score", json.dumps(EVENT).encode(), f"Bearer {API_KEY}", 200),
        ("/v1/score:batch", json.dumps({"events": [EVENT]}).encode(), f"Bearer {API_KEY}", 200),
        ("/v1/explain", json.dumps(EVENT).encode(), f"Bearer {API_KEY}", 200),
        ("/v1/feedback", json.dumps({"labels": [LABEL]}).encode(), f"Bearer {API_KEY}", 200),
    ],
)
async def test_no_request_leaves_a_cycle(
    store: Store, tmp_path: Path, path: str, body: bytes, key: str | None, status: int
) -> None:
    endpoint = Endpoint(settings(store, tmp_path))
    await call(endpoint, path, [body], authorization=key)  # what is made once is made now
    gc.collect()
    gc.disable()
    assert (await call(endpoint, path, [body], authorization=key)).status_code == status
    gc.set_debug(gc.DEBUG_SAVEALL)  # of this request only: threads of other tests may leave some of their own
    gc.collect()
    assert not [one for one in gc.garbage if isinstance(one, Refusal | Request | Asked)]


def test_no_connection_leaves_a_cycle() -> None:
    """On the loop that a replica runs on: one of asyncio's own that is closed waits for the collector.

    In a process of its own: threads of other tests may leave connections of theirs.
    """
    words = [sys.executable, "-c", f"from {__name__} import connected_and_gone; connected_and_gone()"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def connected_and_gone() -> None:
    uvloop.run(_connected_and_gone())


async def _connected_and_gone() -> None:
    port = commands.free_port()
    server = uvicorn.Server(uvicorn.Config(FastAPI(), port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await _ask_once(port)  # what is made once is made now
    gc.collect()
    gc.disable()
    await _ask_once(port)
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    left = [one for one in gc.garbage if isinstance(one, asyncio.BaseTransport | asyncio.BaseProtocol | socket.socket)]
    server.should_exit = True
    await serving
    assert not left


async def _ask_once(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /none HTTP/1.1\r\nhost: here\r\n\r\n")
    assert b"404" in await reader.readline()
    writer.close()
    await asyncio.sleep(0.1)


def test_one_that_cannot_begin_leaves_the_collector_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_endpoint: Endpoint, _settings: Settings) -> None:
        assert not gc.isenabled()
        raise OSError("none")

    monkeypatch.setattr(Endpoint, "__init__", fail)
    with pytest.raises(OSError, match="none"):
        Replica(settings(store, tmp_path))
    assert gc.isenabled()
