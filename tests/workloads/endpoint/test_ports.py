"""A port that is taken is told before anything starts, with what moves it."""

import socket
from collections.abc import Iterator

import pytest

from tests.loop.commands import free_port
from workbench.errors import EnvironmentFault
from workloads import door
from workloads.endpoint.ports import SERVE_PORTS, check_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback at which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_every_taken_port_is_told_with_what_moves_it(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in SERVE_PORTS:
        monkeypatch.setenv(name, str(taken))
    with pytest.raises(EnvironmentFault) as caught:
        check_ports(door.composed([f"serve.port={taken}"]))
    said = str(caught.value)
    assert all(f"{name}={taken + 1} in the environment" in said for name in SERVE_PORTS)
    assert f"serve.port={taken} on 127.0.0.1 cannot be used" in said
    assert f"another: serve.port={taken + 1}." in said


def test_the_ports_of_a_cluster_that_is_joined_are_its_own(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(taken))
    check_ports(door.composed([f"serve.port={free_port()}"]))
    with pytest.raises(EnvironmentFault, match=f"serve.port={taken} on 127.0.0.1 cannot be used"):
        check_ports(door.composed([f"serve.port={taken}"]))
    check_ports(door.composed([f"serve.port={taken}", "serve.running.route_prefix=/one_more"]))
