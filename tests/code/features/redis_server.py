"""A real Redis of a test's own: on a free port of loopback, behind a password, without a disk."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from workbench.features import redis_link

PASSWORD = "open-sesame"
BINARY = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(BINARY is None, reason="redis-server is not installed (apt-get install redis-server)")


@dataclass(frozen=True)
class Server:
    """One that answers."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=PASSWORD)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*options: str, port: int | None = None) -> Iterator[Server]:
    """A server as long as the block."""
    server = start(*options, port=port)
    try:
        yield server
    finally:
        stop(server)


@contextlib.contextmanager
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of one test alone, whose password is in the environment."""
    monkeypatch.setenv(redis_link.PASSWORD, PASSWORD)
    with running() as server:
        yield server


def start(*options: str, port: int | None = None) -> Server:
    port = port or free_port()
    command = [str(BINARY), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
    command += ["--save", "", "--appendonly", "no", *options]
    server = Server(subprocess.Popen(command, stdout=subprocess.DEVNULL), port)
    until = time.monotonic() + 20
    while True:
        try:
            server.client.ping()
            return server
        except redis.ConnectionError:
            assert time.monotonic() < until and server.process.poll() is None, "redis-server does not start"
            time.sleep(0.02)


def stop(server: Server) -> None:
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of a module's tests."""
    with running() as one:
        yield one


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its password, in the environment."""
    monkeypatch.setenv(redis_link.PASSWORD, PASSWORD)
