"""Servers on loopback: a port that is free, and whether a server answers."""

import http.client
import socket
from urllib.parse import urlsplit

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(url: str, body: bytes | None = None, timeout_s: float = 5) -> bool:
    """Whether a URL answers 200: a GET, or the POST of a body of JSON."""
    where, headers = urlsplit(url), {"content-type": "application/json"}
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=timeout_s)
    try:
        connection.request("GET" if body is None else "POST", where.path, body, headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
