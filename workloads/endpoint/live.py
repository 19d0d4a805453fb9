"""An endpoint as long as a block, and the application of Ray Serve that it is."""

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import cluster
from workbench.config import Config
from workbench.data import dimensions
from workbench.data.store import Artifact
from workbench.errors import EnvironmentFault
from workbench.governance.api_keys import Register
from workbench.governance.keys import Keys
from workbench.progress import say
from workloads import validate
from workloads.endpoint.asking import answers, url_of, wait_ready
from workloads.endpoint.given import check_version, settings_of
from workloads.endpoint.ports import check_ports
from workloads.endpoint.version import chosen

if TYPE_CHECKING:
    from serve.settings import Settings


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


def _unmoved(journal: Path) -> bool:
    """Whether the journal may hold a record; a file that vanishes meanwhile may have been closed only: look again."""
    try:
        return any(segment.stat().st_size for segment in journal.glob("*.jsonl"))
    except FileNotFoundError:
        return True


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
        wait_ready(url, given)
        yield endpoint
    finally:
        _stop(cfg.serve.application)


def prepare(cfg: Config, version: Artifact) -> None:
    """What a replica needs is in the store, and can be used."""
    check_version(cfg, version)
    _check_state(cfg)
    Register(cfg.keys.folder).read()
    validate.run(cfg)  # the feature state begins with these events
    dimensions.snapshot_all(version.store, cfg.features.tables)


def _check_state(cfg: Config) -> None:
    if cfg.serve.state == "redis":
        try:
            from workbench.features import redis_link
        except ModuleNotFoundError:
            raise EnvironmentFault(
                "serve.state=redis needs Redis's client. Run: pip install 'ray-ai-workbench[redis]'"
            ) from None
        redis_link.check(cfg.serve.redis_url)


def _check_free(application: str) -> None:
    """Raise `EnvironmentFault` where the cluster serves that application already: it would be replaced, then ended."""
    from ray import serve

    if cluster.joined() and application in serve.status().applications:
        raise EnvironmentFault(
            f"The cluster serves serve.application={application} already, with another config or a canary. Use that"
            " config, stop it first, or use another serve.application."
        )


def application(cfg: Config, given: "Settings") -> Any:
    """The endpoint as an application of Ray Serve, not started yet; its replicas have the environment of this job."""
    import ray

    from serve import app

    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # importing it has set its own level
    options, job = app.options(cfg.serve), ray.get_runtime_context().runtime_env
    own = options["ray_actor_options"]["runtime_env"]  # with one of its own a deployment has nothing of its job's
    own |= {**job, "env_vars": job.get("env_vars", {}) | own["env_vars"]}
    return app.application(given, **options)


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


def _stop(application: str) -> None:
    """End the endpoint, and Serve unless it serves others; what the journal holds is moved at the next start."""
    from ray import serve

    if set(serve.status().applications) - {application}:
        serve.delete(application)
        return
    with contextlib.redirect_stdout(io.StringIO()):  # Ray tells that the controller, asked to die, has died
        serve.shutdown()
