"""How an endpoint runs: how many replicas under which load, on which cores, and what is too much. Values only."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class AutoscalingConfig:
    """Replicas by load, between serve.replicas and `replicas`."""

    replicas: int | None = None  # at most so many; null: serve.replicas, whatever the load
    target_requests: float = 50.0  # requests at once that each replica is meant to have; twice as many are let in
    up_after_s: float = 10.0  # load that lasts so long adds replicas
    down_after_s: float = 300.0  # and its absence takes them away


@dataclass
class RunningConfig:
    """How the endpoint runs."""

    autoscaling: AutoscalingConfig = field(default_factory=AutoscalingConfig)
    route_prefix: str = "/"  # where its routes begin; applications on one cluster need one each, such as /credit
    cores: list[int] = field(default_factory=list)  # each replica of a machine is pinned to one; empty: to none
    drain_s: float = 10.0  # a replica that is stopped may take so long to answer what it has
    slow_at_once: int = 64  # batches, explanations and calls with labels at once, and as many reads of the log
    max_wait_s: float = 0.5  # while another request has waited for longer, the next one is refused with 503
    retry_after_s: float = 1.0  # what a refusal for too many requests says
    max_batch_body_bytes: int = 2_097_152  # largest body of /v1/score:batch; a larger one is refused with 413
    journal_limit_bytes: int = 1_000_000_000  # so much that the tables have not taken yet refuses requests with 503
    log_requests: bool = False  # a line of JSON for each request, with its id, in Ray Serve's log of the replica
    config_file: str = "serve.yaml"  # what `python -m workloads.serve_config` writes


def faults(running: RunningConfig, replicas: int, state: str) -> Iterator[str]:
    """What is wrong with it beside an endpoint's other settings."""
    most, prefix = running.autoscaling.replicas, running.route_prefix
    if most is not None and most < replicas:
        yield f"serve.running.autoscaling.replicas={most} is below serve.replicas={replicas}. Use more, or null."
    if most is not None and most > 1 and state == "memory":
        yield (
            f"serve.running.autoscaling.replicas={most}: with serve.state=memory the feature state lives in one"
            " process. Use serve.state=redis, which replicas share."
        )
    if not prefix.startswith("/") or (prefix != "/" and prefix.endswith("/")):
        yield f"serve.running.route_prefix={prefix} is no prefix. Use / or, for example, /credit."
    if len(set(running.cores)) != len(running.cores) or min(running.cores, default=0) < 0:
        yield f"serve.running.cores={running.cores}: each core is a number from 0, named once."
