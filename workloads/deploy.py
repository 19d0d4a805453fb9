"""Put a model version behind an authenticated HTTP endpoint on Ray Serve; release another there, or take it back.

Reads:  model version (the configured one, or the release ledger's champion); validated snapshot, label ledger and
        prediction log (the feature state); dimension snapshots
Writes: release ledger; while it lives, the endpoint writes prediction log, label ledger and release ledger
Run:    python -m workloads.deploy serve.stay_up=true serve.version=champion
"""

import contextlib
import datetime as dt
import functools
import io
import json
import logging
import os
import secrets
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import cluster
from workbench.config import Config
from workbench.data import dimensions
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError, EnvironmentFault, raise_all
from workbench.features import functions, lookups
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log
from workbench.governance.api_keys import Register
from workbench.governance.keys import Keys, api_key_digest, proof
from workbench.models.bundle import verified_files
from workbench.progress import say
from workbench.release import gates, ledger
from workloads import door, ingest, releasing, validate

if TYPE_CHECKING:
    from serve.settings import Settings

SERVE_PORTS = {  # that Ray Serve takes beside serve.port: the variable that moves each, and where it listens by default
    "RAY_SERVE_HAPROXY_STATS_PORT": ("0.0.0.0", 8404),  # noqa: S104 - HAProxy's own; it cannot be told otherwise
    "RAY_SERVE_HAPROXY_METRICS_PORT": ("0.0.0.0", 9101),  # noqa: S104
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": ("127.0.0.1", 8500),
}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy that the environment names is not asked


@dataclass(frozen=True)
class Live:
    """An endpoint that answers."""

    url: str
    api_key: str
    journal: Path  # where it writes what it acknowledges

    def drained(self, timeout_s: float = 60) -> None:
        """Return when everything that it has recorded is in the tables (its compactor runs every few seconds)."""
        until = time.monotonic() + timeout_s
        while _unmoved(self.journal):
            if time.monotonic() > until:
                raise EnvironmentFault(f"{self.journal} was not moved into the tables in {timeout_s:g} s. See its log.")
            time.sleep(0.2)
        for segment in sorted(self.journal.glob("*.unreadable")):
            say(f"  {segment} cannot be read: its records are not in the tables. Look at it, then move it away.")


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


def chosen(cfg: Config) -> Artifact:
    """The version that `serve.version` names; the configured one where the ledger has no champion yet."""
    if cfg.serve.version == "champion":
        store = Store(cfg.storage.root)
        if champion := ledger.live(store, cfg.serve.application):
            return store.get("models", champion)
        say(f"  the release ledger has no version of {cfg.serve.application} yet: the configured one is deployed")
    from workloads import register  # needs what trains: an install that only serves has a champion

    return register.run(cfg)


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


@contextlib.contextmanager
def live(cfg: Config, version: Artifact | None = None, follows: bool = False) -> Iterator[Live]:
    """The endpoint of a version (None: the chosen one): the one that answers already, or one as long as the block.

    `follows`: it serves what the release ledger says, as that changes.
    """
    version, keys = version or chosen(cfg), Keys(cfg.keys.folder)
    url, given = url_of(cfg), settings_of(cfg, version, follows)
    endpoint = Live(url, keys.api(), given.folder)
    if answers(url, given):
        yield endpoint
        return
    check_ports(cfg)
    prepare(cfg, version)
    cluster.up(cfg)
    _check_free(cfg.serve.application)
    try:
        _start(cfg, given)
        _wait_ready(url, given)
        yield endpoint
    finally:
        _stop(cfg.serve.application)


def _check_free(application: str) -> None:
    """Raise `EnvironmentFault` where the cluster serves that application already: it would be replaced, then ended."""
    from ray import serve

    if cluster.joined() and application in serve.status().applications:
        raise EnvironmentFault(
            f"The cluster serves serve.application={application} already, with another config or a canary. Use that"
            " config, stop it first, or use another serve.application."
        )


def prepare(cfg: Config, version: Artifact) -> None:
    """What a replica needs is in the store, and can be used."""
    check_version(cfg, version)
    _check_state(cfg)
    Register(cfg.keys.folder).read()
    validate.run(cfg)  # the feature state begins with these events
    dimensions.snapshot_all(version.store, cfg.features.tables)


def application(cfg: Config, given: "Settings") -> Any:
    """The endpoint as an application of Ray Serve, not started yet; its replicas have the environment of this job."""
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # importing it has set its own level
    from serve import app
    from serve.endpoint import Endpoint

    options, job = app.options(cfg.serve), ray.get_runtime_context().runtime_env
    own = options["ray_actor_options"]["runtime_env"]  # with one of its own a deployment has nothing of its job's
    own |= {**job, "env_vars": job.get("env_vars", {}) | own["env_vars"]}
    deployment = serve.deployment(Endpoint, name=app.DEPLOYMENT, **options)
    return deployment.bind(given)


def _start(cfg: Config, given: "Settings") -> None:
    import ray
    from ray import serve

    from workbench.training import room

    made = application(cfg, given)
    if ray.get(ray.remote(num_cpus=0)(os.getenv).remote(cluster.SERVE_VARIABLES[0])) != "1":
        say("  HAProxy is off: RAY_SERVE_ENABLE_HA_PROXY=1 was not set before Ray started; the default proxy is slower")
    each, cure = (
        {"CPU": cfg.serve.cpus_per_replica},
        "Use fewer replicas or serve.cpus_per_replica, or a larger cluster.",
    )
    room.check(f"serve.replicas={cfg.serve.replicas}", cfg.serve.replicas, each, cure)
    options = {"host": cfg.serve.host, "port": cfg.serve.port}
    try:
        serve.start(http_options=options, logging_config={"log_level": "ERROR"})
    except (RuntimeError, ray.exceptions.RayError) as error:
        said = " ".join(str(error).split())[-400:]
        raise EnvironmentFault(
            f"Ray Serve did not start: {said} See its logs, then run the same command again."
        ) from error
    serve.run(made, name=cfg.serve.application, route_prefix=cfg.serve.running.route_prefix)


def url_of(cfg: Config) -> str:
    """Where the endpoint's routes begin."""
    return f"http://{cfg.serve.host}:{cfg.serve.port}{cfg.serve.running.route_prefix.rstrip('/')}"


def settings_of(cfg: Config, version: Artifact, follows: bool = False) -> "Settings":
    """What a replica is given."""
    from serve.settings import Settings

    keys = Keys(cfg.keys.folder)
    return Settings(
        application=cfg.serve.application,
        store=version.store.root,
        version=version.key,
        public_key=keys.verifying().public_bytes_raw().hex(),
        api_key_digest=api_key_digest(keys.api()),
        keys_folder=str(Path(cfg.keys.folder).expanduser()),
        data=cfg.data,
        raw_key=ingest.key(cfg),
        validated_key=validate.key(cfg),
        history_until_us=history_until(cfg),
        journal=str(Path(cfg.serve.journal).resolve()),
        compact_every_s=cfg.serve.compact_every_s,
        max_body_bytes=cfg.serve.max_body_bytes,
        ahead_days=cfg.serve.ahead_days,
        redis_url=cfg.serve.redis_url if cfg.serve.state == "redis" else None,
        dimensions=dimensions.keys(cfg.features.tables),
        max_batch_body_bytes=cfg.serve.running.max_batch_body_bytes,
        max_wait_s=cfg.serve.running.max_wait_s,
        retry_after_s=cfg.serve.running.retry_after_s,
        journal_limit_bytes=cfg.serve.running.journal_limit_bytes,
        log_requests=cfg.serve.running.log_requests,
        cores=tuple(cfg.serve.running.cores),
        access=cfg.serve.access,
        follows=follows,
        guardrails=cfg.serve.guardrails,
    )


def packed(cfg: Config, version: Artifact, folder: Path) -> None:
    """Fill a folder with a version and all that scores it on a host without our store (`serve/package.py`)."""
    from serve import package

    check_version(cfg, version)
    validate.run(cfg)
    dimensions.snapshot_all(version.store, cfg.features.tables)
    package.write(folder, version.store, settings_of(cfg, version), Keys(cfg.keys.folder).signing())


def package_key(cfg: Config, version: Artifact) -> str:
    """The name of that package, known before it is made."""
    from serve import package

    return package.key(settings_of(cfg, version), Keys(cfg.keys.folder).verifying())


def history_until(cfg: Config) -> int | None:
    """Events of the snapshot before this time (us since 1970) are the endpoint's history; None: none is."""
    start = cfg.replay.start
    return round(dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC).timestamp() * 1e6) if start else None


def _stop(application: str) -> None:
    """End the endpoint, and Serve unless it serves others; what the journal holds is moved at the next start."""
    from ray import serve

    if set(serve.status().applications) - {application}:
        serve.delete(application)
        return
    with contextlib.redirect_stdout(io.StringIO()):  # Ray tells that the controller, asked to die, has died
        serve.shutdown()


def check_version(cfg: Config, version: Artifact) -> None:
    """Refuse here what a replica would refuse, or could not score: then nothing is started."""
    about, files = verified_files(version, Keys(cfg.keys.folder).verifying())
    names = FeatureSet.from_json(json.loads(files["features.json"]))
    functions.check(names.features)
    declared = {*cfg.data.columns, *lookups.declared(cfg.features.tables)}
    if missing := sorted((names.columns | names.looked_up) - declared):
        card = json.loads(files["card.json"])
        raise ConfigError(
            f"version {about['version']} was trained on {card['data']} and needs {', '.join(missing)}, which"
            f" data={cfg.data.name} and features.tables do not have. Use experiment={card['experiment']}, or another"
            " serve.version."
        )
    log = prediction_log.log_name(cfg.serve.application, ingest.key(cfg))
    gates.check_parity(version.store, log, names.digest)


def _unmoved(journal: Path) -> bool:
    """Whether the journal may hold a record; a file that vanishes meanwhile may have been closed only: look again."""
    try:
        return any(segment.stat().st_size for segment in journal.glob("*.jsonl"))
    except FileNotFoundError:
        return True


def check_ports(cfg: Config) -> None:
    """Raise `EnvironmentFault` with every port that is taken and how it is moved; a joined cluster's are its own.

    An application behind a prefix of its own may be one more of the Serve that listens there.
    """
    serve = cfg.serve
    needed = [(serve.host, serve.port, f"serve.port={serve.port}", f"serve.port={serve.port + 1}")]
    if cluster.joined() and serve.running.route_prefix != "/":
        needed = []
    for name, (host, default) in SERVE_PORTS.items() if not cluster.joined() else ():
        port = int(os.environ.get(name, default))
        needed.append((host, port, f"port {port} of Ray Serve", f"{name}={port + 1} in the environment"))
    faults = [
        f"{what} on {host} cannot be used ({why}). Stop what uses it, or choose another: {remedy}."
        for host, port, what, remedy in needed
        if (why := _unusable(host, port))
    ]
    raise_all(EnvironmentFault, "The endpoint cannot listen:", faults)


def _unusable(host: str, port: int) -> str | None:
    """Why nothing can listen there now; None: something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return str(error.strerror)
    return None


def _check_state(cfg: Config) -> None:
    if cfg.serve.state == "redis":
        try:
            from workbench.features import redis_link
        except ModuleNotFoundError:
            raise EnvironmentFault(
                "serve.state=redis needs Redis's client. Run: pip install 'ray-ai-workbench[redis]'"
            ) from None
        redis_link.check(cfg.serve.redis_url)


def _wait_ready(url: str, settings: "Settings", timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not answers(url, settings):
        if time.monotonic() > until:
            raise EnvironmentFault(f"{url} did not become ready within {timeout_s:g} s. See Ray Serve's logs.")
        time.sleep(0.2)


def answers(url: str, settings: "Settings") -> bool:
    """Whether what answers there is this very endpoint, of the same store, data and history, with this champion.

    One that does not follow the ledger is meant to answer all by this version: a canary beside it would answer some.
    """
    said = ready(url, settings)
    if said is None or said.get("model_version") != settings.version:
        return False
    return settings.follows or said.get("canary") is None


def ready(url: str, settings: "Settings") -> dict[str, Any] | None:
    """What this very endpoint says of itself, whatever version it serves; None where it does not answer there.

    It has to prove that it was given the API key's digest, so that nobody else at that port is sent the key.
    """
    nonce, mine = secrets.token_hex(16), settings.identity
    asked = urllib.request.Request(f"{url}/readyz", headers={"x-request-id": nonce})  # noqa: S310
    try:
        with DIRECT.open(asked, timeout=2) as response:
            said = json.load(response)
    except (OSError, ValueError):
        return None
    expected = {"settings": mine, "proof": proof(settings.api_key_digest, mine, nonce)}
    return said if isinstance(said, dict) and expected.items() <= said.items() else None


if __name__ == "__main__":
    door.main(run, __doc__)
