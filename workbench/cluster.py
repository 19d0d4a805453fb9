"""The Ray that a step runs on: the one named by RAY_ADDRESS, or a quiet one of our own on loopback, behind a token."""

import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from workbench import errors
from workbench.config import Config
from workbench.errors import EnvironmentFault, WorkbenchError
from workbench.governance.keys import Keys
from workbench.jobs import room
from workbench.progress import say

# Read by Ray's processes at their start, so they must be in the environment before `ray` is imported anywhere.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",  # five to eight times the default proxy's throughput
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # a line parsed for each request; HAProxy's own /metrics says the same
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",  # else every shutdown drains for 30 s
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.5",  # a proxy that died is back within 5 s; by default after 30 s
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",  # after 5 s, the default, a busy machine's proxy is killed unborn
    "RAY_DATA_DEFAULT_SHUFFLE_STRATEGY": "sort_shuffle_pull_based",  # ~1 s; the default costs 5-9 s on two cores
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints appear twice otherwise
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # would upload the whole folder when started by `uv run`
    "RAY_DEDUP_LOGS": "1",
    "RAY_worker_niceness": "0",  # 15 by default: the endpoint and the training would yield to whatever else runs
    "RAY_worker_maximum_startup_concurrency": "8",  # actors with a share of a CPU are many: no warning of that
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",  # workers share the cores; more threads than cores only get in each other's way
}
RAISED = re.compile(rf"^{errors.__name__}\.(\w+): (.*(?:\n  - .*)*)$", re.MULTILINE)
STARTS = 3
AUTOSCALER = b"__autoscaling_status"  # where Ray's monitor writes down what it sees
SERVE_VARIABLES = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")


def set_defaults() -> None:
    """Set what Ray reads from the environment when it is imported; what the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not joined():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process per training, for spot machines


def use_token(keys_folder: str) -> None:
    """Close the Ray that we start by a token of our own, in a private file, unless the user has set one."""
    if "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(Keys(keys_folder).path_of_ray_token())


@contextlib.contextmanager
def session() -> Iterator[None]:
    """A Ray that is started or joined inside, by `up`, is left at the end; one that was there before stays."""
    before = _running()
    try:
        yield
    finally:
        if not before and _running():
            sys.modules["ray"].shutdown()


def up(cfg: Config, dashboard: bool = False) -> None:
    """Ray is up: the one that runs, the one that RAY_ADDRESS names, or one of our own. Whoever needs it says so.

    `dashboard`: one of our own gets what jobs are submitted to, on loopback.
    """
    if not _running():
        _start(cfg, dashboard)


def joined() -> bool:
    """Whether the Ray that is used is another's, which RAY_ADDRESS names."""
    return "RAY_ADDRESS" in os.environ


def grows() -> bool:
    """Whether an autoscaler may start nodes: never on a Ray of our own; on another's it may where nothing is known."""
    from ray.experimental.internal_kv import _internal_kv_get  # Ray tells it nowhere else

    if not joined():
        return False
    said = _internal_kv_get(AUTOSCALER)
    return room.grows(json.loads(said) if said else None) is not False


def _running() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def addresses() -> dict[str, str]:
    """The variables by which other processes of this user join the Ray that is up, and submit jobs to it."""
    import ray

    context = ray.init(ignore_reinit_error=True)  # the one that is up tells its addresses
    jobs = {"RAY_API_SERVER_ADDRESS": f"http://{context.dashboard_url}"} if context.dashboard_url else {}
    return {"RAY_ADDRESS": context.address_info["gcs_address"], **jobs}


def _start(cfg: Config, dashboard: bool) -> None:
    if not joined():
        use_token(cfg.keys.folder)
    import ray

    own = {"address": "local", "num_cpus": cfg.scaling.ray_cpus, "include_dashboard": dashboard}
    options = {} if joined() else own
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _initialise(options)
    except Exception as error:  # a start that takes too long is a bare one, a bad address a ValueError
        raise EnvironmentFault(f"No Ray: {' '.join(str(error).split()).rstrip('.')}. {_cure(error)}") from error
    if threading.current_thread() is threading.main_thread():  # Ray's handler prints a stack of its own and exits
        signal.signal(signal.SIGTERM, on_terminate)
    configure_data()
    cpus = int(ray.cluster_resources().get("CPU", 0))
    say(f"  Ray {ray.__version__} {'joined' if joined() else 'started'}: {cpus} CPUs, {len(ray.nodes())} node(s)")


def _cure(error: Exception) -> str:
    if "Version mismatch" in str(error):
        return (
            "Install the same Python and Ray on every node: pip install -c constraints.txt. A job's is --python PATH."
        )
    if joined():
        return "Check RAY_ADDRESS and RAY_AUTH_TOKEN, or unset RAY_ADDRESS."
    return "Check RAY_AUTH_TOKEN; where the machine is busy, run the same command again."


def _initialise(options: dict[str, Any]) -> None:
    """Ray is up. It gives its own processes 30 s to start, which a busy machine may not: then they start once more."""
    import ray

    for attempt in range(1, STARTS + 1):
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
        except Exception as error:
            ray.shutdown()
            if attempt == STARTS or "timed out during startup" not in str(error):
                raise
        else:
            return


def ours(error: BaseException) -> WorkbenchError | None:
    """The error of ours that a task ended with; Ray Data keeps no more of it than the text of its traceback."""
    cause = getattr(error, "cause", error)
    if isinstance(cause, WorkbenchError):
        return cause
    told = RAISED.findall(str(error))
    return getattr(errors, told[-1][0])(told[-1][1]) if told else None


def lost(error: BaseException) -> EnvironmentFault | None:
    """What it means where a process, memory or a disk of the cluster gave out, or a task met a fault of files."""
    if "ray" not in sys.modules:
        return None
    from ray import exceptions

    one = getattr(error, "cause", None) or error
    line = " ".join(str(one).split())[:300].rstrip(".")
    if isinstance(one, exceptions.OutOfDiskError):
        return EnvironmentFault(f"The disk that Ray spills to is full ({line}). Free space, or set RAY_TMPDIR.")
    if isinstance(one, exceptions.OutOfMemoryError | MemoryError):
        return EnvironmentFault(f"The cluster ran out of memory ({line}). Use more machines, or fewer rows or workers.")
    if isinstance(one, exceptions.RayError) and not isinstance(one, exceptions.RayTaskError):
        return EnvironmentFault(f"A process of the cluster was lost ({line}). Run the same command again.")
    if isinstance(one, OSError) and one is not error:
        return EnvironmentFault(f"{one}. Check the disk, the path and its permissions on every node.")
    return None


def configure_data() -> None:
    """Quiet, repeatable Ray Data in this process; every process that plans a dataset needs it."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True  # the same rows in the same order: the same model
    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is an error is raised too
