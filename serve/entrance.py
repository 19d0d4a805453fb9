"""Serve's hook for middlewares in a replica: what a request meets before Serve counts it.

No request is watched for its client's going. What is scored is recorded whether or not anybody waits for the answer, so
there is nothing to break off; watching costs three tasks of the event loop a request, a fifth of what a replica can
answer. And here, before Serve has had any work with it, waits what it need not count, and what would wait for too long
is refused.

No middleware stands where Serve gives an application a thread of its own (`RAY_SERVE_THROUGHPUT_OPTIMIZED` is not set):
there the watching also hands the bodies over, and the endpoint itself refuses.
"""

import functools
import os
import time
from typing import Protocol

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.crowd import Crowd

HOOK = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{__name__}:middlewares"}  # of a replica's environment
SCORE = "/v1/score"
CAME = "workbench.came"  # of a request's scope: when it came to the door; it is not refused any more
NOT_WATCHED = (b"x-request-disconnect-disabled", b"?1")  # Serve's own header; of several the last one holds


class Behind(Protocol):
    """The endpoint, as the entrance sees it."""

    crowd: Crowd

    async def turned_away(self, scope: Scope) -> Response:
        """What a request is answered that would wait for too long, in its turn."""
        ...


class Entrance:
    """Turns away what would wait for too long, and says of all else that it is not to be watched."""

    behind: Behind | None = None  # this process's endpoint: Serve makes the middleware, and tells it nothing

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        app = self._app
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], NOT_WATCHED]  # whatever its client says
            behind, scores = Entrance.behind, scope["path"].endswith(SCORE)
            if behind and scope["method"] == "POST":  # how it is, may be asked in any crowd
                if behind.crowd.shut if scores else behind.crowd.full:
                    app = await behind.turned_away(scope)
                elif scores:
                    app = functools.partial(_let_in, behind.crowd, app)
        await app(scope, receive, send)


async def _let_in(crowd: Crowd, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass an event to score on when there is room; all else, of which less comes, is not kept out."""
    scope[CAME] = time.perf_counter()
    place = await crowd.enter()
    try:
        await app(scope, receive, send)
    finally:
        crowd.leave(place)


def middlewares() -> list[Middleware]:
    """What Serve puts around the application."""
    return [Middleware(Entrance)] if os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == "1" else []
