"""An endpoint is asked what it is: whoever cannot prove to be the one that is meant is not sent its key."""

import json
import secrets
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from workbench.config import Config
from workbench.errors import EnvironmentFault
from workbench.governance.keys import proof

if TYPE_CHECKING:
    from serve.settings import Settings

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy that the environment names is not asked


def url_of(cfg: Config) -> str:
    """Where the endpoint's routes begin."""
    return f"http://{cfg.serve.host}:{cfg.serve.port}{cfg.serve.running.route_prefix.rstrip('/')}"


def wait_ready(url: str, settings: "Settings", timeout_s: float = 60) -> None:
    """Return when this very endpoint answers; raises `EnvironmentFault` where it does not in time."""
    until = time.monotonic() + timeout_s
    while not answers(url, settings):
        if time.monotonic() > until:
            raise EnvironmentFault(f"{url} did not become ready within {timeout_s:g} s. See Ray Serve's logs.")
        time.sleep(0.2)


def answers(url: str, settings: "Settings") -> bool:
    """Whether what answers there is this very endpoint, of the same store, data and history, with this champion.

    One that does not follow the ledger is meant to answer all by this version: a canary beside it would answer some.
    """
    said = ready(url, settings)
    if said is None or said.get("model_version") != settings.version:
        return False
    return settings.follows or said.get("canary") is None


def ready(url: str, settings: "Settings") -> dict[str, Any] | None:
    """What this very endpoint says of itself, whatever version it serves; None where it does not answer there.

    It has to prove that it was given the API key's digest, so that nobody else at that port is sent the key.
    """
    nonce, mine = secrets.token_hex(16), settings.identity
    asked = urllib.request.Request(f"{url}/readyz", headers={"x-request-id": nonce})  # noqa: S310
    try:
        with DIRECT.open(asked, timeout=2) as response:
            said = json.load(response)
    except (OSError, ValueError):
        return None
    expected = {"settings": mine, "proof": proof(settings.api_key_digest, mine, nonce)}
    return said if isinstance(said, dict) and expected.items() <= said.items() else None
