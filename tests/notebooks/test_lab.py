"""JupyterLab as `make notebooks` starts it: on loopback, closed by a token, its kernels on one Ray that takes jobs."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from notebooks import lab
from tests.loop import commands
from tests.loop.commands import ROOT, free_port
from workloads import door

ASK = """
import os, urllib.request, ray
ray.init(log_to_driver=False)
from ray.job_submission import JobSubmissionClient
jobs = JobSubmissionClient(os.environ["RAY_API_SERVER_ADDRESS"]).list_jobs()
print("jobs", {job.submission_id for job in jobs}, os.environ["WORKBENCH_STORE"])
"""


def test_it_listens_on_loopback_and_asks_for_the_token_of_a_private_file(tmp_path: Path) -> None:
    cfg = door.composed([f"keys.folder={tmp_path}", "storage.root=somewhere"])
    own = lab.environment(cfg)
    token = Path(own["JUPYTER_TOKEN_FILE"])
    assert token.stat().st_mode & 0o777 == 0o600 and len(token.read_bytes()) == 64
    assert own["WORKBENCH_STORE"] == str(Path("somewhere").resolve()), "kernels run in another folder"
    words = lab.command(["--port=1"])
    assert "--ServerApp.ip=127.0.0.1" in words and words[-1] == "--port=1"
    assert token.read_text() not in " ".join(words), "a command line is no secret"


@pytest.mark.slow
def test_it_lets_in_who_has_the_token_joins_jobs_and_kernels_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    own = commands.environment(tmp_path) | {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    program = [sys.executable, "-m", "notebooks.lab", f"--port={port}", "--allow-root"]
    started = subprocess.Popen(
        program, cwd=ROOT, env=own, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    left: list[int] = []
    try:
        assert commands.wait_until(lambda: status(port, "") == 403, 120)
        token = (tmp_path / "workbench_keys" / "jupyter_token").read_text()
        assert status(port, token) == 200
        assert status(port, "x" * 64) == 403
        left = commands.descendants(started.pid)
        (server,) = [pid for pid in left if b"jupyterlab" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        kernels = variables(server)
        asked = subprocess.run(
            [sys.executable, "-c", ASK], env=kernels, capture_output=True, text=True, check=False, timeout=60
        )
        assert asked.stdout.strip() == f"jobs {{None}} {tmp_path / 'workbench_store'}", asked.stderr[-2000:]
        os.killpg(started.pid, signal.SIGINT)  # as Ctrl-C does
        _, said = started.communicate(timeout=60)
    finally:
        commands.kill([started.pid, *left])
    assert token not in said and "jupyter_token" in said
    assert commands.wait_until(lambda: commands.alive(left) == [], 20)


def status(port: int, token: str) -> int:
    """What the server answers to who asks for its kernels with that token."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/kernels", headers={"Authorization": f"token {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as response:
            json.load(response)
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def variables(pid: int) -> dict[str, str]:
    """The environment of a process, which its kernels have too."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs if pair)}
