"""The config of a job, as it travels: resolved where it is composed, read where it runs, without `conf/` or Hydra."""

import json
import os
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import msgspec

from workbench.config import Config
from workbench.digest import digest
from workbench.errors import ConfigError

FILE = "job.json"
RECORD = "output: "  # a job's last line, behind which is what `output.json` would hold
WORD = "--resolved"  # of a step's command: its config is that file
HOME = Path.home() / ".workbench"  # not in the package's folder, which Ray removes
OWN = {  # what is the machine's own, unless the user has said it: key, variable, default
    "keys.folder": ("WORKBENCH_KEYS", "~/.config/ray-ai-workbench"),
    "serve.journal": ("WORKBENCH_JOURNAL", str(HOME / "journal")),
    "tracker.folder": ("WORKBENCH_WANDB", str(HOME / "wandb")),
}


def record_of(log: str) -> dict[str, Any] | None:
    """What a job says that it has made: `{"id", "uri", "figures"}`; None where it has made nothing."""
    lines = re.findall(rf"^{RECORD}(.+)$", log, re.MULTILINE)
    return dict(json.loads(lines[-1])) if lines else None


def value(cfg: Config, key: str) -> Any:
    """What a config says of a key of `OWN`."""
    section, _, name = key.partition(".")
    return getattr(getattr(cfg, section), name)


def plain(cfg: Config, said: AbstractSet[str]) -> dict[str, Any]:
    """The config as JSON knows it. Keys in `OWN` that nobody said are null: the cluster's environment says them."""
    values: dict[str, Any] = json.loads(msgspec.json.encode(cfg))
    for key in OWN.keys() - said:
        section, _, name = key.partition(".")
        values[section][name] = None
    values["output"] = {"json": None}  # a file of the client's
    return values


def name_of(step: str, values: dict[str, Any]) -> str:
    """The digest of a job: the same step with the same config, wherever and however often it is submitted."""
    return digest("job", step, values)


def read(path: Path) -> Config:
    """The config that a package holds; raises `ConfigError` where it was made by another version."""
    try:
        values = json.loads(path.read_bytes())
        for key, (variable, default) in OWN.items():
            section, _, name = key.partition(".")
            values[section][name] = values[section][name] or os.environ.get(variable) or default
        cfg = msgspec.convert(values, Config)
        if unknown := sorted(_unknown(values, json.loads(msgspec.json.encode(cfg)))):
            raise ValueError(f"it has {', '.join(unknown)}")
        return cfg
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{WORD} {path} is no config of this version ({error}). Submit the job again, with the code that runs it."
        ) from error


def _unknown(values: Any, known: Any, path: str = "") -> Iterator[str]:
    """The keys that are read over: those of another version's schema."""
    if isinstance(values, dict) and isinstance(known, dict):
        yield from (f"{path}{key}" for key in values.keys() - known.keys())
        for key in values.keys() & known.keys():
            yield from _unknown(values[key], known[key], f"{path}{key}.")
