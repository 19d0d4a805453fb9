"""Two applications on one cluster: each has its routes behind its own prefix, its own state and its own log."""

import dataclasses
from pathlib import Path

import aiohttp
import msgspec
import pytest

from serve import app
from tests.serve.conftest import Live
from tests.serve.small import EVENT, settings
from tests.serve.test_http import KEY, ready
from workbench.data.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


async def test_each_answers_behind_its_own_prefix_and_records_for_itself(live: Live, tmp_path: Path) -> None:
    from ray import serve

    given = dataclasses.replace(settings(Store(str(tmp_path / "store")), tmp_path), application="second")
    serve.run(app.build({"settings": msgspec.to_builtins(given)}), name="second", route_prefix="/second")
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{live.port}") as session:
            await ready(session)
            for prefix, name in (("", "http"), ("/second", "second")):
                async with session.get(f"{prefix}/readyz") as response:
                    assert (await response.json())["application"] == name
                event = {**EVENT, "id": 4321}
                async with session.post(f"{prefix}/v1/score", json=event, headers=KEY) as response:
                    assert response.status == 200
            async with session.get("/second/nothing") as response:
                assert (response.status, (await response.json())["error"]["code"]) == (404, "no_such_route")
    finally:
        serve.delete("second")
    for journal in (live.journal, given.folder):
        text = b"".join(path.read_bytes() for path in journal.glob("predictions-*"))
        assert text.count(b'"id":"4321"') == 1
