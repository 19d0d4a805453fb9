"""What a SageMaker container answers, GET /ping and POST /invocations, by the endpoint that answers everywhere else.

A body is what `POST /v1/score` takes: one raw event; the features come from the container's state. The host's header
`X-Amzn-SageMaker-Custom-Attributes` may name another route of the endpoint that takes a body: /v1/score:batch,
/v1/explain, /v1/feedback, /v1/corrections.
"""

import dataclasses
import secrets
import signal
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from serve.entrance import Entrance
from serve.replica import Replica
from serve.settings import Settings
from workbench.governance.keys import API_KEY_PREFIX, api_key_digest
from workbench.governance.settings import AccessConfig

MOST_BYTES = 6 * 1024 * 1024  # the host's own limit of a body
ROUTE = b"x-amzn-sagemaker-custom-attributes"
SCORE, READY, NOWHERE = "/v1/score", "/readyz", "/"
TAKES = (SCORE, "/v1/score:batch", "/v1/explain", "/v1/feedback", "/v1/corrections")
# the host's callers are one client: no role of the operator's, no rate, and nobody else's tokens
ACCESS = AccessConfig(roles={"host": [*(f"POST {route}" for route in TAKES), f"GET {READY}"]}, default_role="host")
STOP_S = 20  # for what is under way at SIGTERM; the host kills after 30 s


class Host:
    """An ASGI application: the host's two routes, each handed on to the endpoint's own.

    The host lets nobody in but callers whom IAM allows, and passes no header of theirs: what comes through it is given
    a key that this process has made for itself and nobody else knows.
    """

    def __init__(self, settings: Settings) -> None:
        key = API_KEY_PREFIX + secrets.token_hex(32)
        self._key = f"Bearer {key}".encode()
        settings = dataclasses.replace(settings, max_body_bytes=MOST_BYTES, max_batch_body_bytes=MOST_BYTES)
        self.endpoint = Replica(dataclasses.replace(settings, api_key_digest=api_key_digest(key), access=ACCESS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = self._handed_on(scope)
        response = await self.endpoint(Request(asked, receive))
        await response(asked, receive, send)

    def _handed_on(self, scope: Scope) -> dict[str, Any]:
        headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        return {**scope, "path": _route(scope), "headers": [*headers, (b"authorization", self._key)]}


def run(settings: Settings, host: str, port: int) -> None:
    """Answer until SIGTERM; what was acknowledged is moved into the tables before the process ends."""
    application = Host(settings)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the server takes it while it runs, and sends it again afterwards
    uvicorn.run(
        Entrance(application), host=host, port=port, lifespan="off", log_level="warning", access_log=False,
        server_header=False, timeout_graceful_shutdown=STOP_S,
    )  # fmt: skip
    application.endpoint.service.compactor.take_over()
    while application.endpoint.service.compact():
        pass


def _route(scope: Scope) -> str:
    """The endpoint's route for one of the host's; whatever else is asked for is not there."""
    if scope["path"] == "/ping":
        return READY
    if scope["path"] != "/invocations":
        return NOWHERE
    said = dict(scope["headers"]).get(ROUTE, b"").decode("latin-1").strip()
    if said in TAKES:
        return said
    return NOWHERE if said.startswith("/v1/") else SCORE
