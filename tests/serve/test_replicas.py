"""Replicas on Ray Serve behind HAProxy, one of them killed under concurrent clients: what they serve is what is trained
on, and nothing is lost or counted twice."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code.features.redis_server import needs_redis
from tests.loop import commands
from workloads.endpoint.ports import SERVE_PORTS


@pytest.mark.slow
@needs_redis
def test_a_kill_in_the_middle_changes_no_bit_in_process_or_in_redis(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.parity", "--events", "3000", "--json", str(tmp_path / "rows.json")]
    ports = {name: str(commands.free_port()) for name in SERVE_PORTS}
    done = subprocess.run(
        [*command, "experiment=smoke"], cwd=commands.ROOT, env=commands.environment(tmp_path) | ports,
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["ours"], row["peer"]) for row in rows] == [(0, 1)] * 2
    told = [re.fullmatch(r"(.*), of ([\d,]+) numbers", row["case"]) for row in rows]
    assert [one[1] for one in told if one] == ["in process", "two replicas, Redis"]
    # an event that was recorded, not answered and sent again is answered by its record
    assert [int(one[2].replace(",", "")) for one in told if one] == [45_000] * 2
    assert done.stderr.count("3,000 events in") == 2
