"""Where jobs go and with which token, and what is told where nobody or somebody else answers there."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.nodes import free_port
from workbench.errors import ConfigError, EnvironmentFault
from workbench.jobs import connection


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which nobody has said anything of a cluster."""
    for name in (*connection.VARIABLES, "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def test_an_address_is_what_is_said_then_the_environments_then_this_machines(bare: pytest.MonkeyPatch) -> None:
    assert connection.address(None) == "http://127.0.0.1:8265"
    bare.setenv("RAY_ADDRESS", "http://head:8265/")
    assert connection.address(None) == "http://head:8265"
    bare.setenv("RAY_API_SERVER_ADDRESS", "https://api.example")
    assert connection.address(None) == "https://api.example"
    assert connection.address("http://said:1") == "http://said:1"


@pytest.mark.parametrize("said", ["auto", "10.0.0.1:6379", "ray://head:10001", "file:///etc/passwd"])
def test_the_address_of_a_ray_is_not_where_jobs_go(bare: pytest.MonkeyPatch, said: str) -> None:
    bare.setenv("RAY_ADDRESS", said)
    with pytest.raises(ConfigError, match=rf"RAY_ADDRESS={said} is not where jobs go.* Use --address http://HEAD:8265"):
        connection.address(None)


def test_a_token_is_found_where_ray_finds_it(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert connection.token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("users\n")
    assert connection.token() == "users"
    (tmp_path / "other").write_text("files\n")
    bare.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert connection.token() == "files"
    bare.setenv("RAY_AUTH_TOKEN", "variables")
    assert connection.token() == "variables"


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server that is no dashboard."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/api/version"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(b"<html>" if known else b"")

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output is its own."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_no_dashboard_is_told(bare: pytest.MonkeyPatch, stranger: str) -> None:
    with pytest.raises(EnvironmentFault, match="is no Ray dashboard"):
        connection.Connection(stranger)
    with pytest.raises(EnvironmentFault, match="answers 404: it is no Ray dashboard"):
        connection.Connection(f"{stranger}/other")


def test_a_cluster_that_is_away_is_told_with_what_helps(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentFault, match=r"No cluster answers at .*Start it, open a tunnel"):
        connection.Connection(f"http://127.0.0.1:{free_port()}")
