"""What is too much is refused before a record is lost; each replica has a core of its own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serve import journal
from serve.endpoint import Endpoint
from serve.settings import Settings
from tests.serve.asked import ROOT
from tests.serve.small import EVENT, settings
from tests.serve.test_endpoint import LABEL, call, check_refusal
from workbench.data.store import Store
from workbench.feedback import prediction_log


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Settings:
    return dataclasses.replace(settings(store, tmp_path), journal_limit_bytes=2000, compact_every_s=3600)


WRITES = {
    "/v1/score": {**EVENT, "id": 99},
    "/v1/score:batch": {"events": [{**EVENT, "id": 98}]},
    "/v1/feedback": {"labels": [LABEL]},
    "/v1/corrections": {"corrections": [{"id": 1, "known_time": LABEL["known_time"], "event": None}]},
}


async def test_a_journal_that_the_tables_do_not_take_refuses_what_it_could_not_keep(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(given)
    move = prediction_log.move_predictions
    monkeypatch.setattr(prediction_log, "move_predictions", lambda *_: (_ for _ in ()).throw(OSError("no table")))
    for identity in range(5):
        assert (await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": identity}).encode()])).status_code == 200
    endpoint.service.compact()
    held = journal.backlog(given.folder)
    assert held["predictions"] >= 2000
    for path, body in WRITES.items():
        response = await call(endpoint, path, [json.dumps(body).encode()])
        check_refusal(response, 503)
        assert response.headers["retry-after"] == "3600"
    repeated = await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": 4}).encode()])
    assert repeated.status_code == 200, "what was answered needs no room"
    assert (journal.backlog(given.folder), len(endpoint.service.state)) == (held, 5)
    monkeypatch.setattr(prediction_log, "move_predictions", move)
    assert endpoint.service.compact() == 5
    assert (await call(endpoint, "/v1/score", [json.dumps(WRITES["/v1/score"]).encode()])).status_code == 200


async def test_what_shadows_scored_holds_up_no_request_and_no_start(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(dataclasses.replace(given, compact_every_s=0.2))
    service = endpoint.service
    monkeypatch.setattr(prediction_log, "move_shadows", lambda *_: (_ for _ in ()).throw(OSError("no table")))
    service.shadows.journal.append([{"request_id": "r", "id": "x" * 3000}])
    service.drain()
    assert (service.compactor.full, service.compactor.sheds) == (False, True)
    assert (await call(endpoint, "/v1/score", [json.dumps({**EVENT, "id": 1}).encode()])).status_code == 200
    service.shadows.put("r", "1", 0, [])
    assert (service.shadows.left_out, service.shadows.score_waiting()) == (1, 0), "they are shed first"


PINNED = """
import os, sys
from pathlib import Path
from serve import cores
folder, named = Path(sys.argv[1]), [int(one) for one in sys.argv[2].split(",")]
found = cores.pin(folder, named)
print(found is not None, sorted(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""


def test_replicas_take_the_cores_in_turn_and_one_that_dies_gives_its_own_back(tmp_path: Path) -> None:
    own, *_ = mine = sorted(os.sched_getaffinity(0))

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PINNED, str(tmp_path), f"{own},4095"]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    first = start()
    assert first.stdout is not None
    assert first.stdout.readline() == f"True [{own}]\n"
    second = start()
    assert second.communicate()[0] == f"False {mine}\n", "no such core is lent, so it is pinned to none"
    first.communicate()
    assert start().communicate()[0] == f"True [{own}]\n"


def test_a_replica_of_no_named_core_is_not_pinned(given: Settings) -> None:
    before = os.sched_getaffinity(0)
    assert Endpoint(given).service._core is None
    assert os.sched_getaffinity(0) == before
