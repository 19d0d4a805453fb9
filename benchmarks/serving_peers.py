"""The servers that `benchmarks/serving.py` compares ours with: each lives on loopback as long as its block.

All of them get ready-made features and score the ensemble's trees in one process: no key, no features, no log. The twin
has our interpreter; BentoML and MLServer have one of their own, with XGBoost in it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import wrk
from benchmarks.loopback import HOST, answers, free_port
from workbench.errors import EnvironmentFault

NAME, START_S = "trees", 120.0
HERE = Path(__file__).parent
NOT_FOUND = "Give an interpreter that has it and XGBoost: --peers {name}=PYTHON."
Features = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Peer:
    """Where a server is asked, and the bodies that it takes, a line each."""

    url: str
    bodies: Path


@contextlib.contextmanager
def twin(python: str, model: Path, rows: Features) -> Iterator[Peer]:
    """FastAPI and uvicorn (`twin.py`)."""
    port = free_port()
    bodies = wrk.write_bodies(model.with_name("twin.jsonl"), [_features(row) for row in rows])
    with _running(
        "twin", [python, "-m", "benchmarks.twin", str(model), str(port)], f"http://{HOST}:{port}/score", bodies
    ) as peer:
        yield peer


@contextlib.contextmanager
def bentoml(python: str, model: Path, rows: Features) -> Iterator[Peer]:
    """BentoML, one worker (`serving_bento.py`)."""
    port = free_port()
    bodies = wrk.write_bodies(model.with_name("bentoml.jsonl"), [_features(row) for row in rows])
    command = [python, "-m", "bentoml", "serve", "serving_bento:Trees", "--working-dir", str(HERE)]
    said = {"TREES": str(model), "BENTOML_HOME": str(model.with_name("bentoml")), "BENTOML_DO_NOT_TRACK": "True"}
    where = ["--host", HOST, "--port", str(port)]
    with _running("bentoml", [*command, *where], f"http://{HOST}:{port}/score", bodies, said) as peer:
        yield peer


@contextlib.contextmanager
def mlserver(python: str, model: Path, rows: Features) -> Iterator[Peer]:
    """MLServer's own runtime for XGBoost, in its one process, by the V2 protocol."""
    ports, folder = [free_port() for _ in range(3)], model.with_name("mlserver")
    folder.mkdir()
    named = dict(zip(("http_port", "grpc_port", "metrics_port"), ports, strict=True))
    (folder / "settings.json").write_text(json.dumps({"host": HOST, "parallel_workers": 0, "debug": False, **named}))
    said = {"name": NAME, "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(said))
    bodies = wrk.write_bodies(model.with_name("mlserver.jsonl"), [_v2(row) for row in rows])
    url = f"http://{HOST}:{ports[0]}/v2/models/{NAME}/infer"
    with _running(
        "mlserver", [python, "-c", "from mlserver.cli import main; main()", "start", str(folder)], url, bodies
    ) as peer:
        yield peer


SERVERS: dict[str, Callable[[str, Path, Features], contextlib.AbstractContextManager[Peer]]] = {
    "twin": twin, "bentoml": bentoml, "mlserver": mlserver,
}  # fmt: skip


def named(told: Sequence[str]) -> dict[str, str]:
    """The interpreter of each peer of `NAME=PYTHON`; the twin is always among them, with ours."""
    said = dict(one.partition("=")[::2] for one in told)
    for name, python in said.items():
        if name not in SERVERS or not Path(python).is_file():
            raise EnvironmentFault(f"--peers {name}={python} is none. {NOT_FOUND.format(name='|'.join(SERVERS))}")
    return {"twin": sys.executable, **said}


def _features(row: Sequence[float]) -> bytes:
    return json.dumps({"features": list(row)}).encode()


def _v2(row: Sequence[float]) -> bytes:
    tensor = {"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)}
    return json.dumps({"inputs": [tensor]}).encode()


@contextlib.contextmanager
def _running(
    name: str, command: list[str], url: str, bodies: Path, said: dict[str, str] | None = None
) -> Iterator[Peer]:
    """The peer, once it has answered; it and all that it started end with the block."""
    with bodies.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command, env=os.environ | (said or {}), stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    try:
        _wait(name, process, url, bodies)
        yield Peer(url, bodies)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(name: str, process: subprocess.Popen[bytes], url: str, bodies: Path) -> None:
    until, (first, *_) = time.monotonic() + START_S, bodies.read_bytes().splitlines()
    while time.monotonic() < until and process.poll() is None:
        if answers(url, first):
            return
        time.sleep(0.2)
    said = bodies.with_suffix(".log").read_text()[-1500:]
    raise EnvironmentFault(f"{name} did not answer. {NOT_FOUND.format(name=name)} It said:\n{said}")
