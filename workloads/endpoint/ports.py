"""The ports that an endpoint takes, and what is to be done where one is taken."""

import os
import socket

from workbench import cluster
from workbench.config import Config
from workbench.errors import EnvironmentFault, raise_all

SERVE_PORTS = {  # that Ray Serve takes beside serve.port: the variable that moves each, and where it listens by default
    "RAY_SERVE_HAPROXY_STATS_PORT": ("0.0.0.0", 8404),  # noqa: S104 - HAProxy's own; it cannot be told otherwise
    "RAY_SERVE_HAPROXY_METRICS_PORT": ("0.0.0.0", 9101),  # noqa: S104
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": ("127.0.0.1", 8500),
}


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
