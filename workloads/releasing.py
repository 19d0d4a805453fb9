"""What `workloads.deploy` does where `release.action` is set: the ledger has it, and a live endpoint follows."""

import time
from collections.abc import Callable
from typing import Any

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, GateRefused
from workbench.governance import audit
from workbench.progress import say
from workbench.release import actions, ledger
from workbench.release.releases import Releases
from workbench.release.settings import ReleaseConfig

FOLLOW_S = 120.0  # that an endpoint may take to load a version
LOOK_S = 0.2
Says = Callable[[str], dict[str, Any] | None]  # what an endpoint with this champion says of itself; None: no answer


def run(cfg: Config, says: Says) -> tuple[Artifact, bool]:
    """The version that was released, or the champion after one was taken back, and whether an endpoint follows.

    Raises `ConfigError` with all faults of what is asked, and `GateRefused` where the endpoint refuses the version.
    """
    store, asked, application = Store(cfg.storage.root), cfg.release, cfg.serve.application
    named = (asked.action or "", _named(cfg, store), asked.reason)
    before = len(ledger.history(store, application))
    live = actions.act(store, application, *named, canary_percent=asked.canary_percent, canary_steps=asked.canary_steps)
    version = _written(store, application, before, asked)
    audit.acted(cfg.serve.journal, cfg.serve.access.audit_file_bytes, f"release.{asked.action}", version=version)
    say(f"  {asked.action} {version}: {live}")
    followed = live.champion is not None and says(live.champion) is not None
    if followed:
        _wait(live, says)
        _check_taken(store, application, version, before)
    elsewhere = "no endpoint of this config answers here; any that follows the ledger takes it within seconds"
    say("  live at the endpoint" if followed else f"  {elsewhere}")
    released = asked.action in ("shadow", "canary", "promote")
    return store.get("models", version if released or live.champion is None else live.champion), followed


def _named(cfg: Config, store: Store) -> str | None:
    """The version that is meant; the configured one is made where it is not there yet, and all else is said."""
    if cfg.release.version == "challenger":
        return ledger.challenger(store, cfg.serve.application)
    if cfg.release.version != "configured":
        return cfg.release.version
    from workloads import register  # needs what trains: an install that only serves names its version

    return register.run(cfg).key if cfg.release.reason else register.key(cfg)


def _wait(live: Releases, says: Says) -> None:
    """Return when the endpoint has followed the ledger so far."""
    until = time.monotonic() + FOLLOW_S
    while (said := says(str(live.champion))) is None or said["release_step"] < live.step:
        if said and said.get("restart_needed"):
            raise EnvironmentFault(
                f"The endpoint holds the state of another feature view than {live.champion} has, and goes on as before."
                " Stop it, and start it again with serve.version=champion."
            )
        if time.monotonic() > until:
            raise EnvironmentFault(f"The endpoint did not follow within {FOLLOW_S:g} s. See Ray Serve's logs.")
        time.sleep(LOOK_S)


def _written(store: Store, application: str, before: int, asked: ReleaseConfig) -> str:
    """The version of the row that the act has written, whoever else wrote meanwhile."""
    ours = (asked.action, (asked.reason or "").strip())
    rows = ledger.history(store, application)[before:]
    return next(str(row["version"]) for row in rows if (row["action"], row["why"]) == ours)


def _check_taken(store: Store, application: str, version: str, before: int) -> None:
    for row in ledger.history(store, application)[before:]:
        if (row["version"], row["action"]) == (version, "refuse"):
            raise GateRefused(f"The endpoint refused version {version}: {row['why']}")
