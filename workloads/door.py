"""The door of every step: Hydra composes the config, then `run(cfg)` works on typed dataclasses and Hydra is gone.

Exit codes: 0 done; 1 a gate or contract said no; 2 the command line or the config is wrong; 3 an input or the
environment is; 70 our own mistake, with its traceback; 130 interrupted.
"""

import errno
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from workbench import cluster, tracking
from workbench.config import Config
from workbench.data.store import Artifact
from workbench.errors import ConfigError, EnvironmentFault, WorkbenchError
from workbench.jobs import sent
from workbench.validation import validate

CONF = Path(__file__).resolve().parent.parent / "conf"
OUR_MISTAKE = 70  # EX_SOFTWARE of sysexits
UNNAMED = str(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))  # as where the folder at hand was removed
OWN_FOLDER = "WORKBENCH_CONF"
OURS = ("workbench", "workloads", "serve")
KEY_VALUE = re.compile(r"(?!hydra\b)[A-Za-z_][^=]*=")
ConfigStore.instance().store(name="schema", node=Config)


def main(run: Callable[[Config], Artifact | None], doc: str | None) -> None:
    """Run one step as a command: `key=value` overrides from the command line, the exit code as the answer."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(f"{doc}\nKeys: see conf/KEYS.md. Any key can be set as key=value; --cfg prints the whole config.")
        sys.exit(0)
    sys.exit(guarded(lambda: _run_step(run, arguments)))


def guarded(work: Callable[[], None]) -> int:
    """The exit code of `work`; every expected fault becomes one message on standard error."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        work()
    except WorkbenchError as error:
        return _told(cluster.ours(error) or error)
    except OSError as error:
        if str(error) == UNNAMED:
            traceback.print_exc()  # else nothing would say which
        print(f"\nerror: {error}. Check the disk, the path and its permissions.", file=sys.stderr)
        return EnvironmentFault.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted: what was finished is kept; run the same command again to go on", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - Python would end with 1, the code of a gate that looked and said no
        if told := cluster.ours(error) or cluster.lost(error) or _lacking(error):
            return _told(told)
        traceback.print_exc()
        print("\nerror: this is a mistake of the workbench, not yours. Please report it.", file=sys.stderr)
        return OUR_MISTAKE
    return 0


def _lacking(error: Exception) -> EnvironmentFault | None:
    """What it means where an install that only serves is asked to train."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] in OURS:
        return None
    return EnvironmentFault(f"{error}: this install serves only. Run: pip install 'ray-ai-workbench[train]'")


def _told(error: WorkbenchError) -> int:
    print(f"\nerror: {error}", file=sys.stderr)
    return error.exit_code


def composed(arguments: Sequence[str]) -> Config:
    """The typed config for these overrides; raises `ConfigError`, with Hydra's reason where it is Hydra that refuses.

    Hydra's own +KEY, ++KEY and ~KEY are refused: they add what no schema knows or drop what must be there, in silence.
    """
    if odd := [one for one in arguments if not KEY_VALUE.match(one)]:
        raise ConfigError(f"{', '.join(odd)}: not of the form KEY=VALUE. The keys are in conf/KEYS.md.")
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", overrides=[*_own_folder(), *arguments])
            missing = sorted(OmegaConf.missing_keys(cfg))
            typed = None if missing else OmegaConf.to_object(cfg)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:  # ValueError: train=5
        raise ConfigError(_reason(error)) from error
    except (AttributeError, AssertionError) as error:  # as OmegaConf ends where a section is null
        raise ConfigError(
            f"One of {', '.join(arguments)} fills in a section that is null there, such as data.clock or data.versions."
            " Write it into the YAML of the data set instead."
        ) from error
    if missing:
        raise ConfigError(f"These keys must be set: {', '.join(missing)}. Add KEY=VALUE to the command.")
    assert isinstance(typed, Config)
    return validate(typed)


def _own_folder() -> list[str]:
    """Where Hydra looks besides `conf/`: the folder of the user's own YAMLs, laid out like it."""
    folder = os.environ.get(OWN_FOLDER)
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise ConfigError(
            f"{OWN_FOLDER}={folder} is no folder. Let it name one with data/, features/, experiment/, ..."
        )
    return [f"hydra.searchpath=[{json.dumps(Path(folder).resolve().as_uri())}]"]


def _reason(error: Exception) -> str:
    """What is wrong, in one line: Hydra's first words leave out why, and advise to add an unknown key with +."""
    cause = error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.parent_node is not None:
        keys = sorted(str(key) for key in cause.parent_node if key != "hydra")
        return f"{cause.full_key} is no key of the configuration. Use one of: {', '.join(keys)}; see conf/KEYS.md."
    if isinstance(cause, OmegaConfBaseException):
        return f"{error}: {str(cause).splitlines()[0]}."
    return " ".join((str(error) or str(cause)).split())


def _run_step(run: Callable[[Config], Artifact | None], arguments: Sequence[str]) -> None:
    show = "--cfg" in arguments
    cfg = asked([a for a in arguments if a != "--cfg"])
    if show:
        print(OmegaConf.to_yaml(OmegaConf.structured(cfg)))
        return
    output = checked_output(cfg.output.json)
    tracking.check(cfg.tracker)
    with cluster.session():
        artifact = run(cfg)
    if artifact is None:  # what it did is not kept in the store
        return
    print(artifact.uri)
    leave(record(artifact), output)


def asked(arguments: Sequence[str]) -> Config:
    """The typed config of a command: composed from its overrides, or of a job as it was where it was submitted."""
    if arguments[:1] != [sent.WORD]:
        return composed(arguments)
    if len(arguments) != 2:
        raise ConfigError(f"{sent.WORD} takes one file and nothing else: its config is whole. Submit another job.")
    return validate(sent.read(Path(arguments[1])))


def leave(told: dict[str, Any], output: Path | None) -> None:
    """Leave `{"id", "uri", "figures"}` for machines: in a file where one is asked for, and in the log of a job."""
    if sys.argv[1:2] == [sent.WORD]:
        print(sent.RECORD + json.dumps(told))
    if output is not None:
        write_record(output, told)


def record(artifact: Artifact) -> dict[str, Any]:
    """What is told of an artifact to machines."""
    return {"id": artifact.key, "uri": artifact.uri, "figures": artifact.figures}


def write_record(path: Path, told: dict[str, Any]) -> None:
    """Write a record for machines, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(told, indent=1) + "\n")
    draft.replace(path)


def checked_output(path: str | None) -> Path | None:
    """The file that a record is to be written to; raises `ConfigError` where there is no folder for it."""
    if path is None:
        return None
    target = Path(path)
    if not target.parent.is_dir() or target.is_dir():
        raise ConfigError(
            f"output.json={path} cannot be written: its folder does not exist. Use a file in a folder that does."
        )
    return target


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
