"""What must hold of an endpoint: its name, its replicas and the state that they share."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from workbench import running
from workbench.config import ServeConfig

REDIS = re.compile(r"rediss?://([\w.-]+@)?[\w.-]+(:\d{1,5})?(/\d*)?(\?.*)?|unix://.+")


def name_faults(serve: ServeConfig) -> Iterator[str]:
    """What is wrong with the name of the application."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", serve.application):
        yield f"serve.application={serve.application} is no name. Use lower case letters, digits, - and _."


def faults(serve: ServeConfig) -> Iterator[str]:
    """What is wrong with how it runs, and with the Redis that its replicas share."""
    yield from running.faults(serve.running, serve.replicas, serve.state)
    if serve.replicas > 1 and serve.state == "memory":
        yield (
            f"serve.replicas={serve.replicas}: with serve.state=memory the feature state lives in one process. Use"
            " serve.replicas=1, or serve.state=redis, which replicas share."
        )
    yield from _redis_faults(serve.redis_url)


def _redis_faults(address: str) -> Iterator[str]:
    url = urlsplit(address)
    if url.password is not None or "password" in url.query:
        yield "serve.redis_url holds a password, and configs are shown. Put it into WORKBENCH_REDIS_PASSWORD."
    elif not REDIS.fullmatch(address):
        yield f"serve.redis_url={address} is no Redis. Use redis://HOST:PORT/DB, rediss:// (TLS) or unix://PATH."
