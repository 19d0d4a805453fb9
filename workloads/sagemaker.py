"""What a SageMaker container runs: `serve` answers at port 8080, `train` makes a version of its hyperparameters.

Reads:  /opt/ml/model (a package), or /opt/ml/input (hyperparameters, channels)
Writes: train: /opt/ml/model (a package), /opt/ml/checkpoints (the store, so that a job that is cut off goes on), and
        where it fails /opt/ml/output/failure
Run:    python -m workloads.sagemaker serve
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import cluster
from workbench.errors import ConfigError, EnvironmentFault, WorkbenchError, raise_all
from workbench.governance.keys import Keys
from workbench.progress import say
from workloads import door

ROOT = "WORKBENCH_OPT_ML"  # where the host's /opt/ml is, for whoever tries a container elsewhere
CHANNELS = {  # what may be sent, and what becomes of it
    "training": "the file or files of a data set of data.source.kind=file",
    "conf": "your own YAMLs, laid out like conf/ (data/, experiment/, ...)",
}
HOSTS_OWN = ("sagemaker_", "_tuning_objective_metric")  # hyperparameters that the host adds
FAILURE_BYTES = 1024  # of the failure file the host keeps no more


def main(arguments: list[str]) -> int:
    """The exit code of a verb; the host takes anything but 0 for a failure."""
    verbs = {"serve": serve, "train": train}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(f"\nerror: {' '.join(arguments) or 'no verb'}: say one of {', '.join(verbs)}.", file=sys.stderr)
        return ConfigError.exit_code
    return door.guarded(verbs[arguments[0]])


def serve() -> None:
    """Answer until SIGTERM with the version in the package."""
    from serve import package, sagemaker

    take_secrets()
    work = Path(tempfile.gettempdir()) / "workbench"
    work.mkdir(mode=0o700, exist_ok=True)
    keys = Keys(os.environ.get("WORKBENCH_KEYS", str(work / "keys")))
    settings = package.opened(_root() / "model", _verifying(keys), work)
    shared = os.environ.get("WORKBENCH_STORE")
    settings = package.placed(
        settings, shared, os.environ.get("WORKBENCH_JOURNAL", str(work / "journal")), str(keys.folder)
    )
    if not shared:
        say("  WORKBENCH_STORE is not set: what is recorded here goes with this container")
    sagemaker.run(settings, os.environ.get("WORKBENCH_HOST", "0.0.0.0"), _port())  # noqa: S104 - the host demands it


def train() -> None:
    """A version of the experiment that the hyperparameters name, packed where the host collects it."""
    try:
        _train()
    except Exception as error:  # the host shows this text instead of an exit code
        said = cluster.ours(error) or error
        text = str(said) if isinstance(said, WorkbenchError) else f"{type(error).__name__}: {error}"
        failure = _root() / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_bytes(text.encode()[:FAILURE_BYTES])
        raise


def _train() -> None:
    take_secrets()
    root = _root()
    raise_all(ConfigError, "The training job is wrong:", [*_faults(root)])
    if (root / "input/data/conf").is_dir():
        os.environ[door.OWN_FOLDER] = str(root / "input/data/conf")
    from workloads import register
    from workloads.endpoint.given import packed

    cfg = door.composed(words(root))
    if (root / "input/data/training").is_dir() and cfg.data.source.kind != "file":
        raise ConfigError(
            f"channel training is sent, but data={cfg.data.name} makes its own rows (data.source.kind="
            f"{cfg.data.source.kind}). Leave the channel out, or name a data set of data.source.kind=file."
        )
    with cluster.session():
        version = register.run(cfg)
        packed(cfg, version, root / "model")
    for model, figures in version.figures.items():
        said = "; ".join(f"{name}={value:.6g}" for name, value in figures.items() if isinstance(value, float))
        say(f"{model}: {said};")  # what MetricDefinitions look for


def words(root: Path) -> list[str]:
    """The hyperparameters as words of a command line, after where the host wants its files."""
    store = os.environ.get("WORKBENCH_STORE") or str(root / "checkpoints/store")
    own = ["tracker=disabled", f"storage.root={store}"]
    if (root / "input/data/training").is_dir():
        own.append(f"data.source.path={root / 'input/data/training'}")
    told = _json(root / "input/config/hyperparameters.json")
    return [*own, *(f"{name}={value}" for name, value in told.items() if not name.startswith(HOSTS_OWN))]


def take_secrets() -> None:
    """Put the keys of the secret that WORKBENCH_SECRET names (AWS Secrets Manager) into the environment, if it does."""
    name = os.environ.get("WORKBENCH_SECRET")
    if name:
        from workbench.release import sagemaker

        os.environ.update(sagemaker.secret(name))


def _faults(root: Path) -> Iterator[str]:
    """What no training can begin with."""
    hosts = _json(root / "input/config/resourceconfig.json").get("hosts", [])
    if len(hosts) > 1:
        yield (
            f"InstanceCount={len(hosts)}, but one instance trains here. Use a larger instance type, or a Ray cluster"
            " (cluster.yaml)."
        )
    for channel in sorted(set(_json(root / "input/config/inputdataconfig.json")) - set(CHANNELS)):
        listed = "; ".join(f"{name}: {what}" for name, what in CHANNELS.items())
        yield f"channel {channel} is not known. Use {listed}."
    if not os.environ.get("WORKBENCH_SIGNING_KEY"):
        yield (
            "WORKBENCH_SIGNING_KEY is not set: a version has to be signed by a key that outlives this job. Let"
            " WORKBENCH_SECRET name a secret that holds it."
        )


def _json(path: Path) -> dict[str, Any]:
    """An object of the host's; nothing where the host wrote none."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}. Write an object of texts.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds {type(found).__name__}. Write an object of texts.")
    return found


def _verifying(keys: Keys) -> Any:
    if not os.environ.get("WORKBENCH_VERIFYING_KEY") and not os.environ.get("WORKBENCH_SIGNING_KEY"):
        raise EnvironmentFault(
            "WORKBENCH_VERIFYING_KEY is not set: nothing says whose packages may be scored. Set it to the 64 hex digits"
            " that `workloads.deploy target=sagemaker` puts into the model's environment."
        )
    return keys.verifying()


def _root() -> Path:
    return Path(os.environ.get(ROOT, "/opt/ml"))


def _port() -> int:
    return int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
