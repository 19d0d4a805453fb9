"""What an endpoint is given, a Redis, and a real endpoint behind HAProxy on a port of its own."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serve.service import Service
from serve.settings import Settings
from tests.code.features import redis_server
from tests.code.features.redis_server import Server
from tests.loop import commands
from tests.serve import sockets
from tests.serve.small import settings
from workbench.data.store import Store


@dataclass(frozen=True)
class Live:
    """A running endpoint."""

    port: int
    settings: Settings

    @property
    def journal(self) -> Path:
        return self.settings.folder

    def recorded(self) -> list[dict[str, Any]]:
        """What the journal holds now."""
        files = sorted(self.journal.glob("predictions-*"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Settings:
    """Of an endpoint with an empty store."""
    return settings(store, tmp_path)


@pytest.fixture
def service(given: Settings) -> Service:
    return Service(given)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Redis of the test's own; whoever asks for it is marked `needs_redis`."""
    with redis_server.own(monkeypatch) as one:
        yield one


@pytest.fixture
def shared(store: Store, tmp_path: Path, server: Server) -> Settings:
    """The same of replicas that share their feature state."""
    return dataclasses.replace(settings(store, tmp_path), redis_url=server.url)


@pytest.fixture(scope="package")
def live(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    from ray import serve

    from serve import app
    from serve.endpoint import Endpoint

    folder, port = tmp_path_factory.mktemp("live"), commands.free_port()
    given = dataclasses.replace(settings(Store(str(folder / "store")), folder), application="http")
    given = dataclasses.replace(given, access=dataclasses.replace(given.access, body_timeout_s=2.0))
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config={"log_level": "ERROR"})
    deployment = serve.deployment(
        Endpoint,
        name="endpoint",
        max_ongoing_requests=200,
        max_queued_requests=400,
        ray_actor_options={"num_cpus": 0.5, "runtime_env": {"env_vars": app.ENVIRONMENT}},
        graceful_shutdown_timeout_s=10,
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )
    try:
        serve.run(deployment.bind(given), name="http", route_prefix="/")
        yield Live(port, given)
    finally:
        serve.shutdown()
    assert sockets.addresses(port) == set(), "nothing of it stays behind"
