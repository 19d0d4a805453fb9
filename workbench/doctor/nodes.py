"""Every node of the cluster, asked by a task there: versions, clock, disk, and whether it sees the store."""

import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import cluster
from workbench.config import Config
from workbench.doctor import machine
from workbench.doctor.findings import Finding, none, odd, ok, wrong
from workbench.doctor.machine import GROWS, installed
from workbench.doctor.storage import SKEW_S, Probe
from workbench.training import room

LIMIT_S, QUICK_S = 20.0, 5.0  # for a process to begin on every node; then for what it says
COMPARED = (
    "ray",
    "pyarrow",
    "torch",
    "tensorflow",
    "tensorflow-cpu",
    "xgboost",
    "lightgbm",
    "onnxruntime",
    "deltalake",
)


@dataclass(frozen=True)
class Told:
    """What a node says of itself."""

    versions: dict[str, str | None]
    clock_s: float
    free: float  # share of the disk that Ray's files are on
    sees_store: bool


def asked(probe: Probe | None) -> Told:
    """What this node is like; runs as a task."""
    versions = {"Python": platform.python_version()} | {name: installed(name) for name in COMPARED}
    total, _, free = shutil.disk_usage(_files())
    return Told(versions, time.time(), free / total, probe.seen() if probe else True)


def _files() -> str:
    """Where this node's Ray has its files; without one, where one would begin."""
    import ray

    return ray.get_runtime_context().get_temp_dir() if ray.is_initialized() else tempfile.gettempdir()


def findings(cfg: Config, probe: Probe | None) -> Iterator[Finding]:
    """What the cluster has, and which nodes differ from this process or lag behind."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    there = ray.cluster_resources()
    kinds = ", ".join(f"{kind} {there[kind]:g}" for kind in ("CPU", "GPU") if kind in there)
    yield ok("cluster", f"Ray {ray.__version__}, {len(alive)} nodes, {kinds}")
    yield _room(cfg)
    told, skews, silent = _tell(alive, probe)
    if silent:
        yield wrong(
            "nodes", f"{', '.join(silent)} did not answer in {LIMIT_S + QUICK_S:g} s", "See the node's raylet.out."
        )
    yield from _differences(told, skews)


def _tell(alive: Sequence[dict[str, Any]], probe: Probe | None) -> tuple[dict[str, Told], dict[str, float], list[str]]:
    """What each node says, how far its clock is from ours, and who says nothing."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask, there = ray.remote(num_cpus=0, max_retries=0)(asked), {}
    for node in alive:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        there[f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"] = ask.options(scheduling_strategy=place)
    begun = {name: one.remote(None) for name, one in there.items()}
    ray.wait(list(begun.values()), num_returns=len(begun), timeout=LIMIT_S)
    told, skews, silent = dict[str, Told](), dict[str, float](), list[str]()
    for name, one in there.items():
        try:
            ray.get(begun[name], timeout=0)  # a process has begun: what follows is quick
            before = time.time()
            told[name] = ray.get(one.remote(probe), timeout=QUICK_S)
            skews[name] = max(before - told[name].clock_s, told[name].clock_s - time.time(), 0)
        except (ray.exceptions.RayError, TimeoutError):
            silent.append(name)
    return told, skews, silent


def _differences(told: dict[str, Told], skews: dict[str, float]) -> Iterator[Finding]:
    mine = asked(None).versions
    for name, one in told.items():
        other = [f"{what} {have}, here {mine[what]}" for what, have in one.versions.items() if have != mine[what]]
        if other:
            yield wrong("versions", f"{name}: {'; '.join(other)}", "pip install -c constraints.txt on every node.")
        if not one.sees_store:
            cure = "Use a storage.root that all nodes share: s3://, or one path on a shared disk."
            yield wrong("storage", f"{name} does not see what this process wrote", cure)
        if one.free < 1 - machine.FULL:
            yield wrong(
                "disk",
                f"{name}: {one.free:.0%} free where Ray's files are",
                "Free some, or start Ray with another --temp-dir.",
            )
        if skews[name] > SKEW_S:
            yield odd("clocks", f"{name} is {skews[name]:.0f} s away", "Let all nodes keep time (chrony, NTP).")
    if told:
        yield ok("nodes", f"{len(told)} answered")


def _room(cfg: Config) -> Finding:
    """Whether the cluster can hold the workers that training asks for."""
    each = {"CPU": cfg.scaling.cpus_per_worker, "GPU": cfg.scaling.gpus_per_worker}
    least = cfg.scaling.min_workers or cfg.scaling.workers
    fit = room.fitting(each)
    said = f"scaling={cfg.scaling.name} needs room for {least} workers, and there is room for {fit:g}"
    if fit < least:
        return odd("room", said, GROWS) if cluster.grows() else wrong("room", said, room.CURE)
    return ok("room", said) if fit < float("inf") else none("room", "workers reserve nothing")
