"""The admin route: an operator acts on a version as `workloads.deploy` does, and is told every fault at once."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from serve.answers import Refusal
from serve.principals import Asked
from serve.settings import Settings
from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault
from workbench.governance.audit import AuditLog
from workbench.release import actions
from workbench.release.settings import ACTIONS

Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
EXAMPLE = {"action": "canary", "version": "9c1d0a5b7e3f2d48", "reason": "better in shadow", "canary_percent": 5}
ANSWER_EXAMPLE = {
    "request_id": "3f6c0a52c1d94b0f8a4e", "step": 7, "champion": "0b5c9a7f1e24d683", "canary": "9c1d0a5b7e3f2d48",
    "canary_percent": 5, "shadows": [],
}  # fmt: skip


class Release(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a request for a release."""

    action: Literal[ACTIONS]  # type: ignore[valid-type]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    version: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$")] | None = None
    canary_percent: Percent | None = None
    canary_steps: Annotated[list[Percent], msgspec.Meta(max_length=20)] = []


def released(settings: Settings, audit: AuditLog, asked: Asked, body: Release) -> dict[str, Any]:
    """What is live after the act, which is in the audit log before it is done; endpoints follow within seconds."""
    try:
        audit.write(
            durable=True, act=f"release.{body.action}", client=asked.client, route=asked.route,
            request_id=asked.request_id, version=body.version,
        )  # fmt: skip
    except OSError:
        raise Refusal(503, "The audit log cannot be written: nothing was done.", retry_after="5") from None
    try:
        live = actions.act(
            Store(settings.store), settings.application, body.action, body.version, body.reason,
            f"client {asked.client}", body.canary_percent, body.canary_steps,
        )  # fmt: skip
    except ConfigError as error:
        raise Refusal(
            409, "It does not fit what is live; nothing was done.", [*_faults(error, settings, body)]
        ) from None
    except EnvironmentFault:
        raise Refusal(503, "Others write to the release ledger; send it again.", retry_after="5") from None
    return {
        "request_id": asked.request_id,
        "step": live.step,
        "champion": live.champion,
        "canary": live.canary and live.canary.version,
        "canary_percent": live.canary and live.canary.percent,
        "shadows": list(live.shadows),
    }


def _faults(error: ConfigError, settings: Settings, body: Release) -> Iterator[dict[str, str]]:
    """Field and rule of each fault, without what was sent and where the store lies."""
    said = msgspec.structs.asdict(body)
    for text in str(error).split("\n  - ")[1:]:
        named = re.match(r"release\.(\w+)", text)
        rule = text.replace(settings.store, "the store")
        for name, value in said.items():
            rule = rule.replace(f"release.{name}={value}", "It")
        if body.version:
            rule = rule.replace(body.version, "this version")
        yield {"field": f"$.{named[1]}" if named and named[1] in said else "$", "rule": rule}
