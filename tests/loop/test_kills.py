"""Training survives the death of its workers and of its driver, by what the benchmark of kills counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loop import commands
from tests.loop.commands import ROOT

FAMILIES = ("torch_mlp",)


@pytest.mark.slow
def test_a_killed_driver_whose_command_is_repeated_trains_no_step_twice(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks.kills", "--times", "1", "--kinds", "driver", "--families", *FAMILIES]
    ended = subprocess.run(
        [*words, "--json", str(tmp_path / "kills.json")],
        cwd=ROOT, env=commands.environment(tmp_path), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr[-3000:]}"
    counted = json.loads((tmp_path / "kills.json").read_text())["rows"]
    assert [(row["case"], row["ours"], row["peer"]) for row in counted] == [
        (f"{family}, driver killed", 1, 1) for family in FAMILIES
    ]
