"""Requests are not watched for their clients' going, by Serve's own hook and header."""

import asyncio
from typing import Any

import pytest
from ray.serve._private.http_util import parse_disconnect_disabled_header, validate_http_proxy_callback_return
from ray.serve._private.utils import call_function_from_import_path
from starlette.types import Receive, Scope, Send

from serve import entrance
from workbench.config import ServeConfig


@pytest.fixture(autouse=True)
def optimized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")


async def nothing(*_: Any) -> Any:
    """What receives and sends where neither is asked for anything."""


def passed_on(scope: dict[str, Any]) -> dict[str, Any]:
    """The scope as the application behind Serve's own hook sees it."""
    seen = dict[str, Any]()

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.update(scope)

    (path,) = entrance.HOOK.values()
    (middleware,) = validate_http_proxy_callback_return(call_function_from_import_path(path))
    asyncio.run(middleware.cls(app)(scope, nothing, nothing))
    return seen


def test_serve_watches_no_request_whatever_its_client_says() -> None:
    asked = [(b"content-type", b"application/json"), (b"x-request-disconnect-disabled", b"?0")]
    assert not parse_disconnect_disabled_header(dict(asked))
    seen = passed_on({"type": "http", "method": "POST", "path": "/v1/score", "headers": asked})
    assert parse_disconnect_disabled_header(dict(seen["headers"]))
    assert seen["headers"][:2] == asked


def test_what_is_no_request_is_left_alone() -> None:
    assert passed_on({"type": "lifespan"}) == {"type": "lifespan"}


@pytest.mark.parametrize("value", [None, "0"])
def test_where_the_application_has_a_thread_of_its_own_serve_watches(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("RAY_SERVE_THROUGHPUT_OPTIMIZED")
    else:
        monkeypatch.setenv("RAY_SERVE_THROUGHPUT_OPTIMIZED", value)
    assert entrance.middlewares() == []


def test_every_replica_is_told_of_the_hook() -> None:
    from serve import app

    told = app.options(ServeConfig())["ray_actor_options"]["runtime_env"]["env_vars"]
    assert entrance.HOOK.items() <= told.items()
