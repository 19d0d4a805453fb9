"""Load by wrk on loopback, bounded in time: what a URL answers at a number of connections."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import EnvironmentFault

SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Seen:
    """What the load generator saw. A connection has one request at a time."""

    requests: int
    failed: int  # connections that broke, and requests that got no answer in time
    refused: int  # answers of a status above 399
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_s(self) -> float:
        """Throughput."""
        return self.requests / self.seconds


def write_bodies(path: Path, bodies: Sequence[bytes]) -> Path:
    """The file of request bodies that `run` sends, a line each."""
    path.write_bytes(b"\n".join(bodies) + b"\n")
    return path


def run(
    url: str,
    bodies: Path,
    connections: int,
    seconds: float,
    offset: int = 0,
    key: str | None = None,
    strict: bool = True,
) -> Seen:
    """Post the bodies one after the other, from line `offset` on.

    `strict`: raises `EnvironmentFault` when any request fails or is refused.
    """
    if shutil.which("wrk") is None:
        raise EnvironmentFault("wrk is not installed. It is a package of most systems: apt-get install wrk.")
    header = ["--header", f"Authorization: Bearer {key}"] if key else []
    load = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    command = [*load, "--timeout", "10s", "--script", str(SCRIPT), *header, url, "--", str(bodies), str(offset)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("json ")]
    if done.returncode or not lines:
        raise EnvironmentFault(f"wrk ended with {done.returncode}: {done.stderr.strip()[:300]}")
    seen = Seen(**json.loads(lines[0].removeprefix("json ")))
    if strict and (seen.failed or seen.refused or not seen.requests):
        raise EnvironmentFault(
            f"{seen.failed + seen.refused} of {seen.requests} requests to {url} failed; nothing can be compared."
        )
    return seen
