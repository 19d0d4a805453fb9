"""What could not be recorded does not count; what cannot be moved stays, and stops nothing else."""

import contextlib
import dataclasses
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from serve import schemas
from serve.journal import unmoved
from serve.models import Models
from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import (
    EVENTS,
    ROOT,
    TOLD,
    at,
    features,
    logged,
    refused_in,
    score,
    tell,
)
from tests.serve.small import DATA, die
from workbench.errors import EnvironmentFault
from workbench.feedback import prediction_log

FULL_DISK = """
import resource, sys, tempfile
from pathlib import Path
from tests.serve import asked as on
from tests.serve.small import settings
from serve.answers import Refusal
from serve.journal import unmoved
from serve.models import Models
from serve.service import Service
from workbench.data.store import Store
folder = Path(sys.argv[1])
service = Service(settings(Store(str(folder / "store")), folder))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for act in (lambda: on.score(service, 1, 0), lambda: on.tell(service, 1, 1, 1)):
    try:
        act()
    except Refusal as error:
        print(error.status, service.predictions._path.stat().st_size, service.feedback._path.stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
on.score(service, 1, 0)
on.score(service, 2, 2)
print(on.features(service))
"""


def test_an_event_that_could_not_be_recorded_does_not_count_now_or_after_a_restart(tmp_path: Path) -> None:
    assert refused_in(tmp_path) == ["503", "[1, 2, 3]"]


def test_an_event_whose_scoring_fails_does_not_count(service: Service) -> None:
    whole = service.models
    score(service, 1, 0)
    broken = dataclasses.replace(service.bundle, threshold="none")  # type: ignore[arg-type]
    service.models = Models(broken)
    with pytest.raises(TypeError):
        score(service, 2, 1)
    service.models = whole
    score(service, 3, 2)
    assert [count for _, count, _ in features(service)] == [1, 2]


def test_no_decision_leaves_without_its_record(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refused_event, refused_label, after = done.stdout.splitlines()
    assert (refused_event, refused_label) == ("503 0 0", "503 0 0")
    assert json.loads(after) == [[100, 1, 0], [100, 2, 0]], "the refused label is not in the state"


@contextlib.contextmanager
def logged_by_serve(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What Serve's logger says meanwhile, whether or not its records are propagated."""
    logger = logging.getLogger("ray.serve")
    logger.addHandler(caplog.handler)
    try:
        yield lambda: [one.getMessage() for one in {id(record): record for record in caplog.records}.values()]
    finally:
        logger.removeHandler(caplog.handler)


class TestWhatCannotBeMoved:
    def test_what_one_table_does_not_take_stays_and_stops_no_other_kind(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = prediction_log.predictions(service.store, service.settings.log)
        table.append(pa.table({"model_version": [True]}), "other", 1)
        score(service, 1, 0)
        tell(service, 1, 1, hours=1)
        correct = msgspec.json.Decoder(schemas.corrections_type(DATA))
        said = {"corrections": [{"id": 1, "known_time": at(2), "event": None}]}
        service.correct(correct.decode(json.dumps(said)).corrections)
        with logged_by_serve(caplog) as said_of_it:
            assert [service.compact() for _ in range(3)] == [2, 0, 0], "the label and the correction go on"
        assert [path.name.partition("-")[0] for path in unmoved(service.settings.folder)] == ["predictions"]
        (message,) = said_of_it()
        assert "the tables could not take them" in message and "move the table away" in message
        shutil.rmtree(table.uri)
        assert service.compact() == 1, "and when the cause is gone it is moved"

    def test_an_endpoint_does_not_start_from_a_log_that_lacks_what_was_recorded(self, service: Service) -> None:
        score(service, 1, 0)
        die(service)
        table = prediction_log.predictions(service.store, service.settings.log)
        table.append(pa.table({"model_version": [True]}), "other", 1)
        with pytest.raises(EnvironmentFault, match=r"has to be in the tables first.*was written by another version"):
            Service(service.settings)

    def test_a_segment_that_cannot_be_read_is_set_aside_and_stops_nothing(self, given: Settings) -> None:
        folder = given.folder
        folder.mkdir(parents=True)
        (folder / "predictions-00000000000000000001-11.jsonl").write_text("no record\n")
        service = Service(given)
        score(service, 1, 0)
        assert service.compact() == 1
        assert [one["id"] for one in logged(service)] == ["1"]
        assert [path.name for path in folder.glob("*.unreadable")] == ["predictions-00000000000000000001-11.unreadable"]

    @pytest.mark.parametrize("identity", [2**63, 10**30, -(2**63) - 1])
    def test_a_number_that_no_table_holds_is_refused_at_the_door(self, identity: int) -> None:
        event = {"id": identity, "time": at(0), "customer": 1, "amount": 1}
        for decoder, body in ((EVENTS, event), (TOLD, {"labels": [{"id": identity, "label": 1, "known_time": at(0)}]})):
            with pytest.raises(msgspec.ValidationError):
                decoder.decode(json.dumps(body))
