"""The loop with its store in a bucket: every step, both kinds of storage, and what only a bucket can get wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import s3_server
from tests.loop import commands
from tests.loop.commands import ROOT, free_port
from workloads.endpoint.ports import SERVE_PORTS


def pipeline(folder: Path, own: dict[str, str], name: str) -> subprocess.CompletedProcess[str]:
    words = ("experiment=smoke", "tracker=disabled", f"serve.port={free_port()}", f"output.json={folder / name}")
    return subprocess.run(
        [sys.executable, "-m", "workloads.pipeline", *words],
        cwd=ROOT, env=own, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_loop_closes_with_its_store_in_a_bucket_and_finds_all_done_there(tmp_path: Path) -> None:
    with s3_server.running() as variables:
        root = f"s3://{s3_server.BUCKET}/stores/payments"
        own = commands.environment(tmp_path) | variables | {"WORKBENCH_STORE": root}
        own |= {name: str(free_port()) for name in SERVE_PORTS}
        first = pipeline(tmp_path, own, "first.json")
        assert first.returncode == 0, first.stderr[-4000:]
        made = json.loads((tmp_path / "first.json").read_text())
        assert made["uri"].startswith(f"{root}/reports/")
        assert f"report     {made['uri']}/report.html" in first.stdout, "where a person finds it"
        second = pipeline(tmp_path, own, "second.json")
    assert second.returncode == 0, second.stderr[-4000:]
    assert json.loads((tmp_path / "second.json").read_text()) == made
    assert "Ray" not in second.stderr, "there is nothing to do"
    assert s3_server.SECRET not in first.stdout + first.stderr + second.stdout + second.stderr
    assert not (tmp_path / "workbench_store").exists()
