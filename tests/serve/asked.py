"""What tests ask of a service, and what it has answered and written."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from serve import schemas
from serve.service import Service
from tests.serve.small import DATA, die
from workbench.feedback import prediction_log

ROOT = Path(__file__).resolve().parents[2]
EVENTS = msgspec.json.Decoder(schemas.event_type(DATA))
TOLD = msgspec.json.Decoder(schemas.feedback_type(DATA))
START = dt.datetime(2018, 8, 15, tzinfo=dt.UTC)
CUSTOMER = 987_654_321_012_345  # a number that nothing else holds by chance


def at(hours: float) -> str:
    """A time that many hours after the start."""
    return (START + dt.timedelta(hours=hours)).isoformat()


def score(
    service: Service, identity: int, hours: float, customer: int = CUSTOMER, amount: int = 100, again: bool = False
) -> dict[str, Any]:
    body = {"id": identity, "time": at(hours), "customer": customer, "amount": amount}
    return service.score(EVENTS.decode(json.dumps(body)), f"r{identity}", again)


def tell(service: Service, identity: int, label: int, hours: float) -> dict[str, int]:
    body = {"labels": [{"id": identity, "label": label, "known_time": at(hours)}]}
    return service.learn(TOLD.decode(json.dumps(body)).labels)


def logged(service: Service) -> list[dict[str, Any]]:
    """All decisions, in the order in which they were received."""
    service.compact()
    rows = prediction_log.predictions(service.store, "small-raw").read().sort_by("received_at")
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def features(service: Service) -> list[list[float]]:
    """Amount, count in seven days and share known positive of each decision."""
    return [row["features"] for row in logged(service)]


def restarted(service: Service) -> Service:
    """Another in the place of one that was killed."""
    die(service)
    return Service(service.settings)


def everything_written(*folders: Path) -> str:
    """All files as text, Parquet as its rows."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    tables = [str(pq.ParquetFile(path).read().to_pylist()) for path in paths if path.suffix == ".parquet"]
    return "\n".join([*tables, *(path.read_bytes().decode("latin-1") for path in paths)])


REFUSED = """
import dataclasses, resource, sys
from pathlib import Path
from tests.serve import asked as on
from tests.serve.small import settings
from serve.answers import Refusal
from serve.service import Service
from workbench.data.store import Store
folder, url = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
service = Service(dataclasses.replace(settings(Store(str(folder / "store")), folder), redis_url=url))
on.score(service, 1, 0)
service.compact()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    on.score(service, 2, 24 * 300)
except Refusal as error:
    print(error.status)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
on.score(service, 3, 2)
on.score(again := on.restarted(service), 4, 3)
print([int(count) for _, count, _ in on.features(again)])
"""


def refused_in(folder: Path, *url: str) -> list[str]:
    """What an endpoint says whose disk is full for one event, which is not sent again, and which then is restarted."""
    command = [sys.executable, "-c", REFUSED, str(folder), *url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()
