"""The cluster that jobs are sent to, through Ray's own client; what is wrong with it is told within seconds."""

import contextlib
import importlib.metadata
import json
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError, EnvironmentFault
from workbench.jobs import room
from workbench.jobs.attempts import NAME, Attempt, State
from workbench.jobs.room import Resources

HERE = "http://127.0.0.1:8265"
VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
LIMIT_S = 8.0
ANSWER_S = 25.0  # that a cluster may take for what may be long: a log, all jobs, a package
LONG = ("/logs", "/api/jobs/", ".zip")  # how the addresses of such answers end
USER_FILE = Path("~/.ray/auth_token")


def address(said: str | None) -> str:
    """Where jobs go: what was said, what the environment says, or this machine's own dashboard."""
    named = {name: value for name in VARIABLES if (value := os.environ.get(name))}
    key, value = ("--address", said) if said else next(iter(named.items()), ("--address", HERE))
    if not value.startswith(("http://", "https://")):
        raise ConfigError(
            f"{key}={value} is not where jobs go: they go to the dashboard of the head node. Use --address"
            f" http://HEAD:8265, or {HERE} where a tunnel to it begins (ray dashboard, ssh -L, kubectl port-forward)."
        )
    return value.rstrip("/")


def token() -> str | None:
    """The cluster's token, looked for where Ray looks for it; None where there is none."""
    if said := os.environ.get("RAY_AUTH_TOKEN"):
        return said.strip()
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or USER_FILE).expanduser()
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _client() -> Any:
    """Ray's own client, whose requests end: Ray sets no limit, and a tunnel may have died silently."""
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            limit_s = ANSWER_S if endpoint.endswith(LONG) else LIMIT_S
            return super()._do_request(method, endpoint, **{"timeout": (LIMIT_S, limit_s)} | options)

    return Client


class Connection:
    """A cluster that answers, lets us in and runs the same Ray; raises `EnvironmentFault` where it does not."""

    def __init__(self, said: str | None = None) -> None:
        self.address, secret = address(said), token()
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.ray_version = str(self._get("/api/version")["ray_version"])
        self._check_version()
        os.environ["RAY_API_SERVER_ADDRESS"] = self.address  # it would override the argument
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # the header is ours: Ray's client needs no token of its own
        client = _client()
        for name in ("dashboard_sdk", "job.sdk"):  # they tell of every upload and connection
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.WARNING)
        with self._told():
            self._client = client(self.address, headers=self._headers)

    def attempts(self) -> list[Attempt]:
        """The jobs that were submitted by this module, in no order."""
        with self._told():
            jobs = self._client.list_jobs()
        return [_attempt(job) for job in jobs if job.submission_id and NAME.fullmatch(job.submission_id)]

    def attempt(self, name: str) -> Attempt | None:
        """The job as it is now; None: the cluster does not know it."""
        with self._told():
            try:
                return _attempt(self._client.get_job_info(name))
            except RuntimeError as error:
                if "404" in str(error):
                    return None
                raise

    def submit(
        self, name: str, entrypoint: str, package: bytes, about: dict[str, str], code: str, asked: Resources
    ) -> bool:
        """Whether the job was submitted: False where the cluster has one of this name, since just now."""
        own = {kind: amount for kind, amount in asked.items() if kind not in ("CPU", "GPU", "memory")}
        with self._told(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "package.zip")
            path.write_bytes(package)
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    runtime_env={"working_dir": str(path), "env_vars": {"WORKBENCH_CODE": code}},
                    metadata=about,
                    entrypoint_num_cpus=asked.get("CPU"),
                    entrypoint_num_gpus=asked.get("GPU"),
                    entrypoint_memory=int(asked["memory"]) if asked.get("memory") else None,
                    entrypoint_resources=own or None,
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    return False
                raise
        return True

    def log(self, name: str) -> str:
        """Everything that the job has printed."""
        with self._told():
            return str(self._client.get_job_logs(name))

    async def tail(self, name: str) -> AsyncIterator[str]:
        """What the job prints, from its beginning, until it ends or the connection does."""
        async for part in self._client.tail_job_logs(name):
            yield part

    def stop(self, name: str) -> bool:
        """Whether it ran, and now is asked to end."""
        with self._told():
            return bool(self._client.stop_job(name))

    def nodes(self) -> list[Resources]:
        """What each living node has, by kind."""
        found = self._get("/api/v0/nodes?detail=true&limit=10000")["data"]["result"]["result"]
        return [node["resources_total"] for node in found if node["state"] == "ALIVE"]

    def grows(self) -> bool:
        """Whether an autoscaler watches over the cluster, and may start nodes; it may where nothing is known."""
        return room.grows(self._get("/api/cluster_status")["data"].get("clusterStatus")) is not False

    def _check_version(self) -> None:
        ours = importlib.metadata.version("ray")
        if self.ray_version != ours:
            raise EnvironmentFault(
                f"{self.address} runs Ray {self.ray_version}, and this workbench is made for {ours}. Install"
                f" ray=={ours} on every node of the cluster (constraints.txt), or use the workbench of that version."
            )

    def _get(self, path: str) -> Any:
        asked = urllib.request.Request(self.address + path, headers=self._headers)  # noqa: S310 - `address` has checked
        try:
            with urllib.request.urlopen(asked, timeout=LIMIT_S) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise EnvironmentFault(_refused(self.address, error.code)) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise EnvironmentFault(_away(self.address, str(reason))) from None
        except ValueError as error:
            raise EnvironmentFault(f"{self.address} is no Ray dashboard ({error}). Correct --address.") from None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What Ray's client raises, as one sentence."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise EnvironmentFault(_refused(self.address, 403 if self._headers else 401)) from error
        except OSError as error:
            raise EnvironmentFault(_away(self.address, _line(error))) from error
        except RuntimeError as error:
            raise EnvironmentFault(f"{self.address} refuses: {_line(error)}. See dashboard.log there.") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")


def _refused(address: str, code: int) -> str:
    if code == 401:
        return f"{address} asks for a token and was given none. {CURE}"
    if code == 403:
        return f"{address} refuses the token. It is another cluster's, or was changed. {CURE}"
    return f"{address} answers {code}: it is no Ray dashboard, or one that is not ready. Correct --address."


def _away(address: str, reason: str) -> str:
    return (
        f"No cluster answers at {address} ({reason}). Start it, open a tunnel to its dashboard (ray dashboard"
        " cluster.yaml; ssh -L; kubectl port-forward), or correct --address."
    )


CURE = (
    "Set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file of mode 0600, to the cluster's own"
    " (on the head node: ray get-auth-token)."
)


def _attempt(job: Any) -> Attempt:
    about: Mapping[str, str] = job.metadata or {}
    started, ended = (one / 1000 if one else None for one in (job.start_time, job.end_time))
    state = State(getattr(job.status, "value", job.status))
    return Attempt(job.submission_id, state, job.message or "", job.driver_exit_code, about, started, ended)
