"""A step that is to run on a cluster: what is sent, what it is called, what is told of it."""

import platform
import shlex
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from workbench.config import Config
from workbench.data.store import code_version
from workbench.errors import ConfigError, raise_all
from workbench.governance.users import user
from workbench.jobs import sent
from workbench.jobs.package import Package
from workbench.jobs.room import Resources


@dataclass(frozen=True)
class Job:
    """A step, its config and the code that runs it."""

    step: str
    words: Sequence[str]
    cfg: Config
    digest: str
    package: Package
    reserved: Resources  # of its own process; what it starts reserves its own
    python: str = "python"

    @property
    def entrypoint(self) -> str:
        """What the cluster runs."""
        return f"{shlex.quote(self.python)} -m workloads.{self.step} {sent.WORD} {sent.FILE}"

    def about(self) -> dict[str, str]:
        """What `list` and the dashboard tell of it: who, what, and by which code."""
        commit, _, changed = code_version().partition("+")
        return {
            "step": self.step,
            "experiment": self.cfg.name,
            "words": " ".join(self.words)[:1000],
            "who": f"{user()}@{platform.node()}",
            "commit": commit,
            "tree": "changed" if changed else "unknown" if commit == "unknown" else "clean",
            "package": self.package.digest,
            "storage": self.cfg.storage.root,
        }


def check(cfg: Config, said: AbstractSet[str] = frozenset()) -> None:
    """Raise `ConfigError` with every path that only this machine knows, and every one that holds a secret.

    `said` are the user's own keys: of folders that are each machine's own, only those that were said travel.
    """
    paths = _paths(cfg) | {key: str(sent.value(cfg, key)) for key in sent.OWN.keys() & said}
    faults = [
        f"{key}={path} is a path in this folder, and a job runs in another. Use a URI such as s3://BUCKET/PATH, or a"
        " whole path that every node sees."
        for key, path in paths.items()
        if "://" not in path and not Path(path).expanduser().is_absolute()
    ]
    faults += [
        f"{key} holds a user or a key, and jobs are shown. Leave it to the cluster's environment, as AWS_ACCESS_KEY_ID."
        for key, path in paths.items()
        if "@" in path.partition("://")[2].partition("/")[0]
    ]
    raise_all(ConfigError, "This config cannot run on a cluster:", faults)


def _paths(cfg: Config) -> dict[str, str]:
    found = {"storage.root": cfg.storage.root, "leakcheck.path": cfg.leakcheck.path}
    found |= {"data.source.path": cfg.data.source.path} if cfg.data.source.kind == "file" else {}
    found |= {f"features.tables.{name}.path": table.path for name, table in cfg.features.tables.items()}
    return {key: path for key, path in found.items() if path}
