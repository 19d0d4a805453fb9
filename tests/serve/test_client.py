"""A client that is generated from the description asks every kind of route, and gets typed answers."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve import openapi
from serve.endpoint import Endpoint
from tests.serve import test_schemathesis as asked
from tests.serve.small import API_KEY, DATA, EVENT, settings
from workbench.data.store import Store

pytestmark = pytest.mark.slow
NAME = "generated_scoring_client"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The generated package."""
    (tmp_path / "openapi.json").write_text(json.dumps(openapi.document("small", DATA)))
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"]
    made = ["--path", "openapi.json", "--output-path", NAME]
    done = subprocess.run([*command, *made], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    said = [line for line in done.stdout.splitlines() if "WARNING" in line or "Unsupported" in line]
    assert said == [], "it knows all parts of the description"
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(NAME)


def test_the_generated_client_scores_tells_and_finds(client: Any, store: Store, tmp_path: Path) -> None:
    asked.ASKED[:] = [Endpoint(settings(store, tmp_path))]
    models = importlib.import_module(f"{NAME}.models")
    transport = httpx.ASGITransport(asked.app)
    session = client.AuthenticatedClient("http://scores", API_KEY, httpx_args={"transport": transport})

    def ask(route: str, **arguments: Any) -> Any:
        return asyncio.run(api(route, session, **arguments))

    async def api(route: str, session: Any, **arguments: Any) -> Any:
        return await importlib.import_module(f"{NAME}.api.default.{route}").asyncio(client=session, **arguments)

    event = models.Event.from_dict(EVENT)
    decision = ask("score", body=event)
    assert isinstance(decision, models.Decision)
    other = models.Event.from_dict({**EVENT, "amount": 7})
    results = ask("score_batch", body=models.Batch([event, other])).results
    assert [type(one) for one in results] == [models.Decision, models.NoDecision]
    assert results[0].score == decision.score
    label = {"id": 1, "label": 1, "known_time": "2018-08-20T00:00:00+00:00"}
    assert ask("feedback", body=models.Feedback.from_dict({"labels": [label]})).accepted == 1
    assert ask("decisions", id="1").label.label == 1
    assert ask("explain", body=event).log_odds == pytest.approx(0.101)
    assert ask("models").models[0].version == "v1"
    assert isinstance(ask("decisions", id="unknown"), models.Error)
    assert ask("score", body=other).error.code == "conflict"
