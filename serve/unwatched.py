"""Serve's hook for middlewares in a replica, for one thing: no request is watched for its client's going.

What is scored is recorded whether or not anybody waits for the answer, so there is nothing to break off. Watching costs
three tasks of the event loop a request: a fifth of what a replica can answer. It stays where Serve gives an application
a thread of its own (`RAY_SERVE_THROUGHPUT_OPTIMIZED` is not set): there the watching also hands the bodies over.
"""

import os

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

HOOK = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{__name__}:middlewares"}  # of a replica's environment
NOT_WATCHED = (b"x-request-disconnect-disabled", b"?1")  # Serve's own header; of several the last one holds


class Unwatched:
    """Says of each request that it is not to be watched, whatever its client says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], NOT_WATCHED]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Serve puts around the application."""
    return [Middleware(Unwatched)] if os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == "1" else []
