"""The whole loop, as a user runs it, at smoke size: every step is real, and a second run does no work twice."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.loop import commands
from tests.loop.commands import ROOT, free_port
from workbench.data.store import Store
from workbench.release import ledger

STEPS = (
    "ingest", "validate", "featurize", "leakcheck", "train", "evaluate", "register",
    "deploy", "replay", "label", "parity", "monitor",
)  # fmt: skip
CURL = re.compile(r"^curl -s http://127\.0\.0\.1:8000/v1/score .*?'\}?$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_loop_closes_with_figures_and_a_report(first: CompletedProcess[str], folder: Path) -> None:
    made = json.loads((folder / "out.json").read_text())
    assert set(made["figures"]) == {"xgboost", "torch_mlp", "keras_mlp", "ensemble"}
    assert made["figures"]["ensemble"]["average_precision"] > 0.2, "far above the share of frauds"
    assert re.search(r"parity +61,170 served numbers computed again, 0 differ", first.stdout), first.stdout
    store = Store(str(folder / "workbench_store"))
    (version,) = store.keys("models")
    assert ledger.live(store, "smoke") == version, "it is the champion once its parity holds"
    report = Path(made["uri"]) / "report.html"
    assert "<svg" in report.read_text()
    fetched = [mark for mark in ('src="http', ' href="http', "url(http", "@import") if mark in report.read_text()]
    assert fetched == [], "the report asks nobody for anything"


@pytest.mark.slow
def test_the_terminal_shows_steps_and_nothing_of_the_libraries(first: CompletedProcess[str]) -> None:
    foreign = [
        line for line in (first.stderr + first.stdout).splitlines() if re.search(r"INFO|WARN|raylet|oneDNN", line)
    ]
    assert foreign == []
    for step in STEPS:
        assert re.search(rf"^{step} done in ", first.stderr, re.MULTILINE), step
    assert len(first.stdout.strip().splitlines()) <= 10, "the summary can be read in ten seconds"


@pytest.mark.slow
def test_a_second_run_finds_its_work_done_without_starting_ray_for_it(
    first: CompletedProcess[str], folder: Path
) -> None:
    again = commands.run(folder, "train", f"output.json={folder / 'train.json'}")
    assert again.returncode == 0, again.stderr[-3000:]
    title, *figures = again.stderr.splitlines()
    assert title.startswith("average precision on the validation rows"), "nothing but what the run was chosen by"
    assert [line for line in figures if not re.fullmatch(r"  \w+ +0\.\d{3}", line)] == []
    second = commands.run(folder, "pipeline", f"serve.port={free_port()}", f"output.json={folder / 'second.json'}")
    assert second.returncode == 0, second.stderr[-3000:]
    assert json.loads((folder / "second.json").read_text())["id"] == json.loads((folder / "out.json").read_text())["id"]
    assert "train xgboost" not in second.stderr


@pytest.mark.slow
def test_a_taken_port_is_told_with_its_remedy(first: CompletedProcess[str], folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = commands.run(folder, "deploy", f"serve.port={port}")
    assert done.returncode == 3, done.stderr[-2000:]
    assert f"serve.port={port}" in done.stderr
    assert "choose another: serve.port=" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: nothing generates the load")
def test_the_benchmark_compares_ours_with_the_peer_and_leaves_no_decision(
    first: CompletedProcess[str], folder: Path
) -> None:
    before = sorted((folder / "workbench_store" / "tables").rglob("*.parquet"))
    words = [sys.executable, "-m", "benchmarks.serving", "--seconds", "1", "--rounds", "1", *commands.SMOKE]
    done = subprocess.run(
        [*words, "--json", str(folder / "bench.json")], cwd=ROOT, env=commands.environment(folder), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((folder / "bench.json").read_text())["rows"]
    assert len(rows) == 15
    assert all(row["ours"] > 0 and row["ratio"] == pytest.approx(row["ours"] / row["peer"]) for row in rows)
    assert "ratio" in done.stdout
    assert sorted((folder / "workbench_store" / "tables").rglob("*.parquet")) == before


@pytest.mark.slow
def test_the_command_in_the_readme_scores_and_ctrl_c_leaves_no_process_behind(
    first: CompletedProcess[str], folder: Path
) -> None:
    port, own = free_port(), commands.environment(folder)
    command = commands.command("deploy", f"serve.port={port}", "serve.stay_up=true")
    served = subprocess.Popen(
        command, cwd=ROOT, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    started: list[int] = []
    try:
        assert commands.wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 90)
        started = commands.descendants(served.pid)
        assert len(started) > 5
        answer = json.loads(as_in_the_readme(port, folder))
        assert answer["decision"] in ("flag", "pass"), answer
        served.send_signal(signal.SIGINT)
        _, said = served.communicate(timeout=60)
    finally:
        commands.kill([served.pid, *started])
    assert served.returncode == 130, said[-2000:]
    assert commands.wait_until(lambda: commands.alive(started) == [], 20), commands.alive(started)


def as_in_the_readme(port: int, folder: Path) -> str:
    shown = CURL.search((ROOT / "README.md").read_text())
    assert shown
    keys = folder / "workbench_keys"
    line = shown[0].replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("~/.config/ray-ai-workbench", str(keys))
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=30).stdout


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.xgboost.max_deph=3", "max_deph"),
        ("serve.replicas=2", "serve.replicas=2"),
        ("output.json=/no/such/folder/x.json", "its folder does not exist"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_writes_nothing(tmp_path: Path, override: str, words: str) -> None:
    done = commands.run(tmp_path, "pipeline", override)
    assert done.returncode == 2, done.stderr[-2000:]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "workbench_store").exists()
