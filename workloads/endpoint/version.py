"""Which version an endpoint is to serve."""

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.progress import say
from workbench.release import ledger


def chosen(cfg: Config) -> Artifact:
    """The version that `serve.version` names; the configured one where the ledger has no champion yet."""
    if cfg.serve.version == "champion":
        store = Store(cfg.storage.root)
        if champion := ledger.live(store, cfg.serve.application):
            return store.get("models", champion)
        say(f"  the release ledger has no version of {cfg.serve.application} yet: the configured one is deployed")
    from workloads import register  # needs what trains: an install that only serves has a champion

    return register.run(cfg)
