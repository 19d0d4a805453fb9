"""Write the file that `serve deploy` takes: this application's settings and options, beside those that are in it.

Reads:  model version (the configured one, or the release ledger's champion); the file, if it is there
Writes: serve.running.config_file: one application per serve.application, no key (mode 0600)
Run:    python -m workloads.serve_config experiment=payments serve.version=champion
"""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from workbench.config import Config
from workbench.data import dimensions
from workbench.data.store import Artifact
from workbench.errors import ConfigError
from workbench.governance.keys import write_private
from workbench.progress import say
from workbench.release import ledger
from workloads import deploy, door, validate
from workloads.endpoint.given import check_version, settings_of
from workloads.endpoint.version import chosen


def run(cfg: Config) -> Artifact:
    """The version that the file deploys."""
    version, path = chosen(cfg), Path(cfg.serve.running.config_file)
    deploy.check_champion(cfg, version)
    check_version(cfg, version)
    validate.run(cfg)  # the feature state begins with these events
    dimensions.snapshot_all(version.store, cfg.features.tables)
    before = _read(path)
    write_private(path, yaml.safe_dump(merged(before, described(cfg, version), path), sort_keys=False, width=120))
    say(f"  {path}: deploy it with `serve deploy {path}`")
    if ledger.live(version.store, cfg.serve.application) is None:
        say(f"  then write its first release down: release.action=promote release.version={version.key}")
    return version


def described(cfg: Config, version: Artifact) -> dict[str, Any]:
    """The whole file for one application."""
    from serve import app

    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": cfg.serve.host, "port": cfg.serve.port},
        "logging_config": app.logging(cfg.serve),
        "applications": [
            {
                "name": cfg.serve.application,
                "route_prefix": cfg.serve.running.route_prefix,
                "import_path": app.IMPORT_PATH,
                "args": {"settings": msgspec.to_builtins(settings_of(cfg, version, follows=True))},
                "deployments": [{"name": app.DEPLOYMENT, **app.options(cfg.serve)}],
            }
        ],
    }


def merged(before: dict[str, Any], described: dict[str, Any], path: Path) -> dict[str, Any]:
    """The file with this application in the place of the one of its name; the others stay as they are."""
    (own,) = described["applications"]
    others = [one for one in before.get("applications", []) if one["name"] != own["name"]]
    prefix = own["route_prefix"]
    if taken := [one["name"] for one in others if one.get("route_prefix", "/") == prefix]:
        raise ConfigError(
            f"serve.running.route_prefix={prefix} is {taken[0]}'s in {path}. Give each application one of its own, such"
            f" as serve.running.route_prefix=/{own['name']}."
        )
    if before and before["http_options"] != described["http_options"]:
        raise ConfigError(
            f"{path} has http_options {before['http_options']}: one cluster has one. Use the same serve.host and"
            " serve.port, or another serve.running.config_file."
        )
    return {**described, "applications": [*others, own]}


def _read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where it is not there."""
    if not path.exists():
        return {}
    try:
        said = yaml.safe_load(path.read_text())
        if isinstance(said["applications"], list) and isinstance(said["http_options"], dict):
            return dict(said)
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        pass
    raise ConfigError(f"{path} is no file for `serve deploy`. Move it away, or set serve.running.config_file.")


if __name__ == "__main__":
    door.main(run, __doc__)
