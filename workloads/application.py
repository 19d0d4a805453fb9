"""The champion's endpoint for a Ray Serve that reads its configuration from a file, as KubeRay's RayService has it.

    import_path: workloads.application:build
    args: {overrides: [experiment=payments, serve.version=champion]}

Serve calls `build` on the cluster. Where `workloads.deploy` starts an endpoint and waits for it, this describes it:
Serve starts it, keeps it alive and replaces it. `build` reads the release ledger; the endpoint follows it, and writes
down what it refuses or rolls back. Where a file is to hold all that the endpoint is given, see `serve_config`.
"""

from typing import Any

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.release import ledger
from workloads import door
from workloads.endpoint.given import settings_of
from workloads.endpoint.live import application, prepare


def build(args: dict[str, Any]) -> Any:
    """The application of the champion that the release ledger names; raises `ConfigError` where there is none yet."""
    cfg = door.composed(args.get("overrides", []))
    version = champion(cfg)
    prepare(cfg, version)
    return application(cfg, settings_of(cfg, version, follows=True))


def champion(cfg: Config) -> Artifact:
    """The model version that is to be live."""
    store = Store(cfg.storage.root)
    if cfg.serve.version != "champion":
        raise ConfigError(f"serve.version={cfg.serve.version} would train here. Use serve.version=champion.")
    if not (key := ledger.live(store, cfg.serve.application)):
        raise ConfigError(
            f"The release ledger of {cfg.storage.root} has no version of {cfg.serve.application}. Run"
            f" python -m workloads.pipeline experiment={cfg.name} first, with the same storage.root."
        )
    return store.get("models", key)
