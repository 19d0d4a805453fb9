"""Only the endpoint that is meant is taken for it, and it is asked directly."""

import dataclasses
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.loop.commands import free_port
from tests.serve import small
from workbench.data.store import Store
from workbench.governance.keys import proof
from workloads.endpoint import asking


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
        assert asking.answers(f"http://127.0.0.1:{server.server_port}", settings)


@pytest.mark.parametrize(
    ("canary", "follows", "taken"), [(None, False, True), ("v2", False, False), ("v2", True, True)]
)
def test_a_step_takes_no_endpoint_where_a_canary_would_answer_some_of_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str | None, follows: bool, taken: bool
) -> None:
    settings = dataclasses.replace(small.settings(store, tmp_path), follows=follows)
    monkeypatch.setattr(asking, "ready", lambda *_: {"model_version": "v1", "canary": canary})
    assert asking.answers("http://127.0.0.1:1", settings) is taken


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
        assert not asking.answers(f"http://127.0.0.1:{server.server_port}", settings)
    assert keys == [None]
