"""Which version goes live, and what is refused before anything starts."""

import dataclasses
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from serve import app
from tests.loop.commands import free_port
from tests.serve import small
from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault, StoreError
from workbench.governance.keys import proof
from workbench.release import ledger
from workloads import deploy, door


@pytest.fixture
def champion(store: Store, tmp_path: Path) -> str:
    """A version that the ledger says is live, under the application's name of the payments."""
    version = small.settings(store, tmp_path).version
    ledger.release(store, "payments", version, "for a test")
    return version


def configured(store: Store, *overrides: str) -> door.Config:
    """The payments on that store, to be served by the ledger's champion."""
    return door.composed(["serve.version=champion", f"storage.root={store.root}", *overrides])


def test_the_champion_of_the_ledger_is_chosen_without_training(store: Store, champion: str) -> None:
    assert deploy.chosen(configured(store)).key == champion
    assert store.keys("runs") == []


def test_the_newest_release_is_the_champion(store: Store, champion: str) -> None:
    ledger.release(store, "payments", "v2", "a later one, whose bundle was deleted")
    with pytest.raises(StoreError, match="v2"):
        deploy.chosen(configured(store))


def test_a_champion_whose_features_the_data_cannot_give_starts_nothing(store: Store, champion: str) -> None:
    cfg = configured(store, "data=handbook")
    told = r"version v1 was trained on small and needs amount, .*experiment=small"
    with pytest.raises(ConfigError, match=told), deploy.live(cfg):
        pytest.fail("it went live")


def test_a_replica_has_the_environment_of_its_job_and_its_own(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"working_dir": "gcs://code.zip", "env_vars": {"WORKBENCH_CODE": "abc", "KEPT": "1"}}
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(runtime_env=job))
    made = deploy.application(configured(store), small.settings(store, tmp_path))
    told = made._bound_deployment.ray_actor_options["runtime_env"]
    assert told["working_dir"] == "gcs://code.zip"
    assert told["env_vars"] == {"WORKBENCH_CODE": "abc", "KEPT": "1", **app.ENVIRONMENT}
    assert job["env_vars"] == {"WORKBENCH_CODE": "abc", "KEPT": "1"}, "the job's own stays as it is"


def test_what_was_set_aside_is_told_and_waited_for_by_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions-1.unreadable").write_text("no record\n")
    endpoint = deploy.Live("http://127.0.0.1:1", "", tmp_path)
    endpoint.drained(timeout_s=0)
    told = capsys.readouterr()
    assert f"{tmp_path / 'predictions-1.unreadable'} cannot be read" in told.out + told.err
    (tmp_path / "predictions-2.jsonl").write_text("{}\n")
    with pytest.raises(EnvironmentFault, match="was not moved"):
        endpoint.drained(timeout_s=0)


def test_an_unknown_choice_of_version_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"serve.version=newest is unknown. Use one of: configured, champion"):
        door.composed(["serve.version=newest"])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback at which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_every_taken_port_is_told_with_what_moves_it(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in deploy.SERVE_PORTS:
        monkeypatch.setenv(name, str(taken))
    with pytest.raises(EnvironmentFault) as caught:
        deploy.check_ports(door.composed([f"serve.port={taken}"]))
    said = str(caught.value)
    assert all(f"{name}={taken + 1} in the environment" in said for name in deploy.SERVE_PORTS)
    assert f"serve.port={taken} on 127.0.0.1 cannot be used" in said
    assert f"another: serve.port={taken + 1}." in said


def test_the_ports_of_a_cluster_that_is_joined_are_its_own(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(taken))
    deploy.check_ports(door.composed([f"serve.port={free_port()}"]))
    with pytest.raises(EnvironmentFault, match=f"serve.port={taken} on 127.0.0.1 cannot be used"):
        deploy.check_ports(door.composed([f"serve.port={taken}"]))
    deploy.check_ports(door.composed([f"serve.port={taken}", "serve.running.route_prefix=/one_more"]))


def test_an_endpoint_is_asked_directly_whatever_proxy_the_environment_names(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small.settings(store, tmp_path)

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            said = {"settings": settings.identity, "model_version": "v1"}
            said["proof"] = proof(settings.api_key_digest, said["settings"], self.headers["x-request-id"])
            self.wfile.write(json.dumps(said).encode())

    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxies of its first request
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert deploy.answers(f"http://127.0.0.1:{server.server_port}", settings)


@pytest.mark.parametrize(
    ("canary", "follows", "taken"), [(None, False, True), ("v2", False, False), ("v2", True, True)]
)
def test_a_step_takes_no_endpoint_where_a_canary_would_answer_some_of_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str | None, follows: bool, taken: bool
) -> None:
    settings = dataclasses.replace(small.settings(store, tmp_path), follows=follows)
    monkeypatch.setattr(deploy, "ready", lambda *_: {"model_version": "v1", "canary": canary})
    assert deploy.answers("http://127.0.0.1:1", settings) is taken


@pytest.mark.parametrize("copied", [{}, {"proof": "of another nonce"}, {"proof": None}, None])
def test_who_only_repeats_what_readyz_says_is_not_taken_for_the_endpoint_and_sent_no_key(
    store: Store, tmp_path: Path, copied: dict[str, str] | None
) -> None:
    settings, keys = small.settings(store, tmp_path), list[str | None]()
    if copied and copied["proof"]:
        copied = {"proof": proof(settings.api_key_digest, settings.identity, "another")}

    class Copying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("authorization"))
            self.send_response(200)
            self.end_headers()
            said = [] if copied is None else {"status": "ready", "settings": settings.identity, **copied}
            self.wfile.write(json.dumps(said).encode())

    with HTTPServer(("127.0.0.1", 0), Copying) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert not deploy.answers(f"http://127.0.0.1:{server.server_port}", settings)
    assert keys == [None]
