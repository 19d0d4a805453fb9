"""Releases under load on Ray Serve behind HAProxy: no request fails, and what was acknowledged is recorded once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loop import commands
from workloads.endpoint.ports import SERVE_PORTS

REFUSED = {
    "tampered": "differs from what was signed",
    "broken": "could not be loaded",
    "slow": "serve.guardrails.score_ms",
    "no-number": "is no number",
}


@pytest.mark.slow
def test_swaps_unsound_versions_and_a_worse_canary_cost_no_request(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.faults", "--swaps", "5", "--per-second", "50"]
    ports = {name: str(commands.free_port()) for name in SERVE_PORTS}
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "rows.json"), "experiment=smoke"], cwd=commands.ROOT,
        env=commands.environment(tmp_path) | ports, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["ours"] > 0, row["ours"]) for row in rows] == [(True, row["peer"]) for row in rows]
    for name, why in REFUSED.items():
        assert any(line.startswith(f"  {name} refused: ") and why in line for line in done.stderr.splitlines()), name
    assert "decisions differ from the champion's" in done.stderr
