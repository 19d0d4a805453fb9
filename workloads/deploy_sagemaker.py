"""What `workloads.deploy target=sagemaker` does: a packed version in the registry and behind an endpoint of that host.

Reads:  model version (the configured one, or the release ledger's champion); validated snapshot, label ledger
Writes: a package in S3, a model package, a model, an endpoint; the release ledger of `sagemaker:ENDPOINT`
"""

import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.governance.keys import Keys
from workbench.progress import say
from workbench.release import ledger, sagemaker
from workbench.release.sagemaker import Clients, Weights
from workbench.release.sagemaker_config import endpoint
from workloads.endpoint.given import package_key, packed
from workloads.endpoint.version import chosen


def run(cfg: Config) -> Artifact:
    """The version that gets most requests after `sagemaker.action`."""
    aws, name = sagemaker.clients(), endpoint(cfg)
    shares = ACTIONS[cfg.sagemaker.action](cfg, aws, name)
    for version, share in shares.items():
        say(f"  {version} gets {share:.0%} of the requests of {name}")
    live, store = next(iter(shares)), Store(cfg.storage.root)
    ledger.release(store, f"sagemaker:{name}", live, f"{cfg.sagemaker.action} by {cfg.name}")
    return store.get("models", live)


def _deploy(cfg: Config, aws: Clients, name: str) -> Weights:
    version, about = chosen(cfg), cfg.sagemaker
    uri = f"{str(about.packages).rstrip('/')}/{version.key}/{package_key(cfg, version)}/model.tar.gz"
    if not sagemaker.exists(aws, uri):
        _upload(cfg, aws, version, uri)
    package = sagemaker.register(aws, name, version.key, uri, about)
    model = sagemaker.create_model(aws, name, package, environment(cfg), about)
    return sagemaker.deploy(aws, name, version.key, model, about)


def _upload(cfg: Config, aws: Clients, version: Artifact, uri: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder, archive = Path(made) / "model", Path(made) / "model.tar.gz"
        packed(cfg, version, folder)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, ".")
        say(f"  {uri}: {archive.stat().st_size / 1e6:.1f} MB")
        sagemaker.upload(aws, archive, uri, cfg.sagemaker.kms_key)


def environment(cfg: Config) -> dict[str, str]:
    """What the container is told: names and a public key, no secret. Anyone who may describe the model reads it."""
    told = {"WORKBENCH_VERIFYING_KEY": Keys(cfg.keys.folder).verifying().public_bytes_raw().hex()}
    if cfg.storage.root.startswith("s3://"):
        told["WORKBENCH_STORE"] = cfg.storage.root
    if cfg.sagemaker.secret:
        told["WORKBENCH_SECRET"] = cfg.sagemaker.secret
    return told


def _shift(cfg: Config, aws: Clients, name: str) -> Weights:
    return sagemaker.shift(aws, name, cfg.sagemaker.weight, cfg.sagemaker)


def _rollback(cfg: Config, aws: Clients, name: str) -> Weights:
    return sagemaker.shift(aws, name, 0.0, cfg.sagemaker)


def _settle(cfg: Config, aws: Clients, name: str) -> Weights:
    return sagemaker.settle(aws, name, cfg.sagemaker)


ACTIONS: dict[str, Callable[[Config, Clients, str], Weights]] = {
    "deploy": _deploy,
    "shift": _shift,
    "rollback": _rollback,
    "settle": _settle,
}
