"""Put a model version behind an authenticated HTTP endpoint on Ray Serve; release another there, or take it back.

Reads:  model version (the configured one, or the release ledger's champion); validated snapshot, label ledger and
        prediction log (the feature state); dimension snapshots
Writes: release ledger; while it lives, the endpoint writes prediction log, label ledger and release ledger
Run:    python -m workloads.deploy serve.stay_up=true serve.version=champion
"""

import functools
import time
from typing import Any

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.governance.keys import Keys
from workbench.progress import say
from workbench.release import ledger
from workloads import door, releasing
from workloads.endpoint.asking import ready, url_of
from workloads.endpoint.given import settings_of
from workloads.endpoint.live import live
from workloads.endpoint.version import chosen


def run(cfg: Config) -> Artifact:
    """The version that is live, or was acted on; with serve.stay_up it stays live until interrupted."""
    if cfg.target == "sagemaker":
        from workloads import deploy_sagemaker

        return deploy_sagemaker.run(cfg)
    if cfg.release.action is not None:
        version, followed = releasing.run(cfg, functools.partial(_says, cfg))
        if followed or not cfg.serve.stay_up:
            return version
        cfg.serve.version = "champion"
    version = chosen(cfg)
    check_champion(cfg, version)
    with live(cfg, version, follows=True) as endpoint:
        if ledger.live(version.store, cfg.serve.application) is None:
            release(cfg, version)
        keys = Keys(cfg.keys.folder)
        say(f"  live at {endpoint.url} (key in {keys.path_of_api_key() or 'WORKBENCH_API_KEY'})")
        if cfg.serve.stay_up:
            say("  Ctrl-C ends it")
            while True:
                time.sleep(3600)
    return version


def _says(cfg: Config, champion: str) -> dict[str, Any] | None:
    """What the endpoint of this config says of itself; None where it does not answer."""
    return ready(url_of(cfg), settings_of(cfg, Store(cfg.storage.root).get("models", champion)))


def check_champion(cfg: Config, version: Artifact) -> None:
    """Raise `ConfigError` where another version is the champion: who serves one beside it says how, and why."""
    champion = ledger.live(version.store, cfg.serve.application)
    if champion not in (None, version.key):
        raise ConfigError(
            f"{champion} is the champion of {cfg.serve.application}; this config's model is {version.key}. Use"
            " serve.version=champion, or release.version=configured with release.action=shadow, canary or promote and"
            " release.reason."
        )


def release(cfg: Config, version: Artifact) -> None:
    """Write down that a version which answers is the champion."""
    ledger.release(Store(cfg.storage.root), cfg.serve.application, version.key, f"deployed by {cfg.name}")


if __name__ == "__main__":
    door.main(run, __doc__)
