"""Say what is wrong with this machine or cluster, and what to do: a table, and exit code 3 where work cannot go on.

Reads:  versions, disk, ports, modes of keys, clocks, GPUs, programs; every node; `storage.root`
Writes: a small file in `storage.root`, which is removed again
Run:    python -m workloads.doctor experiment=smoke
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import cluster
from workbench.config import Config
from workbench.data.store import code_version
from workbench.digest import digest
from workbench.doctor import findings, machine, nodes, ports
from workbench.doctor.findings import Finding, State, ok, wrong
from workbench.doctor.storage import Probe, without_secret
from workbench.errors import EnvironmentFault
from workbench.jobs.connection import HERE
from workloads import door
from workloads.endpoint.ports import SERVE_PORTS

DASHBOARD = int(HERE.rpartition(":")[2])
LOOPBACK = {DASHBOARD: "Ray's dashboard"}


def diagnosis(cfg: Config) -> Iterator[Finding]:
    """All findings, one after the other as they are made."""
    yield from _here(cfg)
    probe = Probe(cfg.storage.root)
    stored = list(probe.findings())
    yield from stored
    written = all(one.state is not State.wrong for one in stored)
    removed: list[Finding] = []
    try:
        yield from _cluster(cfg, probe if written else None)
    finally:
        if written:
            removed += probe.removed()
    yield from removed


def _here(cfg: Config) -> Iterator[Finding]:
    yield machine.python()
    yield machine.packages()
    yield ok("code", code_version())
    yield machine.disk("disk", Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray")  # noqa: S108 - Ray's own place
    if "://" not in cfg.storage.root:
        yield machine.disk("disk", Path(cfg.storage.root).expanduser().resolve())
    yield machine.journal(cfg)
    yield from machine.secrets(cfg, os.environ)
    yield from ports.free(_ports(cfg))
    yield from ports.exposed(LOOPBACK)
    yield from machine.programs()


def _cluster(cfg: Config, probe: Probe | None) -> Iterator[Finding]:
    try:
        cluster.up(cfg)
    except EnvironmentFault as error:
        yield wrong("cluster", str(error), "")
        return
    import ray

    yield from nodes.findings(cfg, probe)
    yield machine.gpu(cfg, ray.cluster_resources().get("GPU", 0), cluster.grows())


def _ports(cfg: Config) -> dict[str, tuple[str, int]]:
    own = {"serve.port": (cfg.serve.host, cfg.serve.port)}
    return own | {name: (host, int(os.environ.get(name, port))) for name, (host, port) in SERVE_PORTS.items()}


def run(cfg: Config) -> dict[str, Any]:
    """The record of a diagnosis: `{"id", "uri", "figures"}`; its table is printed."""
    found = list(diagnosis(cfg))
    print(findings.table(found))
    counts = {state.name: sum(one.state is state for one in found) for state in State}
    told = [{"what": one.what, "state": one.state.name, "said": one.said, "cure": one.cure} for one in found]
    return {"id": digest(told), "uri": without_secret(cfg.storage.root), "figures": {**counts, "findings": told}}


def main() -> None:
    """The command: the exit code is 3 where anything is wrong."""
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        return
    sys.exit(door.guarded(_command))


def _command() -> None:
    cfg = door.asked(sys.argv[1:])
    output = door.checked_output(cfg.output.json)
    with cluster.session():
        record = run(cfg)
    door.leave(record, output)
    if wrong_ones := record["figures"]["wrong"]:
        raise EnvironmentFault(f"{wrong_ones} of these are wrong. What helps stands beside each.")


if __name__ == "__main__":
    main()
