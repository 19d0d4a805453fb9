"""The loop as a Ray job: on a cluster that somebody else started, from a package of code alone."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop import commands
from tests.loop.commands import ROOT, free_port
from workbench import cluster

BIN = Path(sys.executable).parent
PORTS = ("--port", "--dashboard-port", "--dashboard-agent-listen-port", "--dashboard-agent-grpc-port",
         "--runtime-env-agent-port", "--metrics-export-port", "--ray-client-server-port")  # fmt: skip


@pytest.fixture
def head(tmp_path: Path) -> Iterator[dict[str, str]]:
    """`ray start --head` behind a token, on ports and in a folder of its own; ended by its process ids."""
    own = commands.environment(tmp_path) | cluster.ENVIRONMENT
    own |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "PATH": f"{BIN}:{os.environ['PATH']}"}
    ports = {name: str(free_port()) for name in PORTS}
    folder = tempfile.mkdtemp(prefix="wbh-")  # short: a path of a socket has 107 bytes at the most
    words = [f"{name}={port}" for name, port in ports.items()]
    started = subprocess.Popen(
        [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats", f"--temp-dir={folder}",
         "--node-ip-address=127.0.0.1", "--object-store-memory=300000000", *words],
        env=own, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    own["FOLDER"] = folder
    own["DASHBOARD"] = f"http://127.0.0.1:{ports['--dashboard-port']}"
    try:
        yield own
    finally:
        left = commands.descendants(started.pid)
        started.send_signal(signal.SIGTERM)
        started.wait(60)
        commands.kill(left)
        shutil.rmtree(folder, ignore_errors=True)


def submit(head: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    job = [BIN / "ray", "job", "submit", "--address", head["DASHBOARD"], "--working-dir", "."]
    return subprocess.run(
        [*job, "--", *words], cwd=ROOT, env=head, capture_output=True, text=True, timeout=500, check=False
    )


def takes_jobs(head: dict[str, str]) -> bool:
    listed = [BIN / "ray", "job", "list", "--address", head["DASHBOARD"]]
    return subprocess.run(listed, env=head, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_a_submitted_pipeline_closes_the_loop_from_a_package_below_two_mebibytes(
    head: dict[str, str], tmp_path: Path
) -> None:
    assert commands.wait_until(lambda: takes_jobs(head), 60)
    done = submit(head, "python", "-m", "workloads.pipeline", "experiment=smoke", "tracker=disabled",
                  f"serve.port={free_port()}")  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "verdict" in said
    found = Path(head["FOLDER"]).glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*")
    (package,) = (path for path in found if path.is_dir())
    sent = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in sent) < 2 * 2**20, "the package is smaller still, being compressed"
    assert {path.relative_to(package).parts[0] for path in sent} & {".git", ".venv", "store", ".workbench"} == set()
    assert list((tmp_path / "workbench_store" / "reports").glob("*/report.html"))
