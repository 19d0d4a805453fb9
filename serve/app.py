"""The application that Ray Serve runs, from settings alone: `serve deploy` imports it, `deploy` runs it."""

from typing import Any

import msgspec
from ray import serve

from serve import entrance
from serve.replica import Replica
from serve.settings import Settings
from workbench.config import ServeConfig

DEPLOYMENT = "endpoint"
IMPORT_PATH = f"{__name__}:build"
ENVIRONMENT = {  # of a replica
    **entrance.HOOK,
    "RAY_enable_metrics_collection": "0",  # Ray's node agent enters each request's time by itself: see the README
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "1",  # else it would count for Serve what HAProxy and it count anyway
}


def build(arguments: dict[str, Any]) -> serve.Application:
    """The application of `settings`, as `serve deploy` asks for it; its deployment's options are in the same file."""
    return application(msgspec.convert(arguments["settings"], Settings, strict=False))


def application(settings: Settings, **told: Any) -> serve.Application:
    """The application of these settings; `told`: what Serve is told of its deployment, see `options`."""
    return serve.deployment(Replica, name=DEPLOYMENT, **told).bind(settings)


def options(cfg: ServeConfig) -> dict[str, Any]:
    """What Ray Serve is told of the deployment, as plain values.

    Threads are set where the work is: one for ONNX Runtime, one loop for requests, one for HAProxy
    (`RAY_SERVE_HAPROXY_NBTHREAD`); reading the log and explaining have a few beside it.
    """
    running, scaled = cfg.running, cfg.running.autoscaling
    return {
        **({"num_replicas": cfg.replicas} if scaled.replicas is None else {"autoscaling_config": _autoscaling(cfg)}),
        "max_ongoing_requests": cfg.max_ongoing_requests,
        "max_queued_requests": cfg.max_queued_requests,
        "backpressure_config": {"status_code": 503, "retry_after_s": running.retry_after_s},
        "ray_actor_options": {"num_cpus": cfg.cpus_per_replica, "runtime_env": {"env_vars": dict(ENVIRONMENT)}},
        "graceful_shutdown_timeout_s": running.drain_s,
        "graceful_shutdown_wait_loop_s": min(2.0, running.drain_s),
        "logging_config": logging(cfg),
    }


def logging(cfg: ServeConfig) -> dict[str, Any]:
    """Lines of JSON: errors, and requests where that is wanted; Serve's own line for each would come a second time."""
    level = "INFO" if cfg.running.log_requests else "ERROR"
    return {"encoding": "JSON", "log_level": level, "enable_access_log": False}


def _autoscaling(cfg: ServeConfig) -> dict[str, Any]:
    scaled = cfg.running.autoscaling
    return {
        "min_replicas": cfg.replicas,
        "initial_replicas": cfg.replicas,
        "max_replicas": scaled.replicas,
        "target_ongoing_requests": scaled.target_requests,
        "upscale_delay_s": scaled.up_after_s,
        "downscale_delay_s": scaled.down_after_s,
    }
