"""The whole loop, as a user runs it, at smoke size: every step is real, and a second run does no work twice."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pipeline(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "WORKBENCH_"))}
    environment |= {
        name: str(folder / name.lower()) for name in ("WORKBENCH_STORE", "WORKBENCH_KEYS", "WORKBENCH_JOURNAL")
    }
    command = [sys.executable, "-m", "workloads.pipeline", "experiment=smoke", f"serve.port={free_port()}", *overrides]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.slow
def test_the_loop_closes_and_a_second_run_finds_its_work_done(tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    first = pipeline(tmp_path, f"output.json={output}", "tracker=disabled")
    assert first.returncode == 0, first.stderr[-3000:]
    made = json.loads(output.read_text())
    assert set(made["figures"]) == {"xgboost", "torch_mlp", "keras_mlp", "ensemble"}
    assert made["figures"]["ensemble"]["average_precision"] > 0.2, "far above the share of frauds"
    report = Path(made["uri"]) / "report.html"
    assert "<svg" in report.read_text()
    fetched = [mark for mark in ('src="http', ' href="http', "url(http", "@import") if mark in report.read_text()]
    assert fetched == [], "the report asks nobody for anything"
    second = pipeline(tmp_path, f"output.json={output}", "tracker=disabled")
    assert second.returncode == 0, second.stderr[-3000:]
    assert json.loads(output.read_text())["id"] == made["id"]
    assert "train xgboost" not in second.stderr


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.xgboost.max_deph=3", "max_deph"),
        ("serve.port=many", "serve.port"),
        ("tracker=nowhere", "nowhere"),
        ("serve.replicas=2", "serve.replicas=2"),
        ("data.split.kind=random", "data.split.kind=random is unknown"),
        ("output.json=/no/such/folder/x.json", "its folder does not exist"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_writes_nothing(tmp_path: Path, override: str, words: str) -> None:
    done = pipeline(tmp_path, override)
    assert done.returncode == 2, done.stderr[-2000:]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "workbench_store").exists()
