"""The release ledger: what went live when, by whom and why. Append only.

Live is the version of an application that was promoted last and not withdrawn since: where one is withdrawn, the one
before it is live again.
"""

import datetime as dt
import getpass
import os

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.store import Store
from workbench.data.tables import Table

TABLE = "releases"


def release(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a version goes live; a version that is live already is not written again."""
    if live(store, application) != version:
        _append(store, application, version, "promote", why)


def withdraw(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a released version must not be live; nothing where it is not released, or withdrawn already."""
    if version in _released(store, application):
        _append(store, application, version, "withdraw", why)


def is_released(store: Store, application: str, version: str) -> bool:
    """Whether a version was promoted and not withdrawn since, be it live or followed by another."""
    return version in _released(store, application)


def challenge(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a version stands beside the live one; the newest challenger is not written again."""
    if challenger(store, application) != version:
        _append(store, application, version, "challenge", why)


def _append(store: Store, application: str, version: str, action: str, why: str) -> None:
    now = dt.datetime.now(dt.UTC)
    row = {
        "application": application,
        "version": version,
        "action": action,
        "who": _who(),
        "why": why,
        "at": now,
    }
    rows = pa.Table.from_pylist([row]).cast(pa.schema([*[(n, pa.string()) for n in list(row)[:-1]], ("at", _TIME)]))
    Table(store, TABLE).append(rows, app_id=f"release-{application}-{now.isoformat()}", version=1)


def _who() -> str:
    """The user's name; a container's user may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def live(store: Store, application: str) -> str | None:
    """The version that the ledger says is live; None before the first release."""
    return next(reversed(_released(store, application)), None)


def challenger(store: Store, application: str) -> str | None:
    """The version that was registered last as challenger; None where there was none."""
    return next((version for version, action in reversed(_told(store, application)) if action == "challenge"), None)


def _released(store: Store, application: str) -> list[str]:
    """The versions that were promoted and not withdrawn since, each once, the newest promotion last."""
    found: list[str] = []
    for version, action in _told(store, application):
        if action in ("promote", "withdraw") and version in found:
            found.remove(version)
        if action == "promote":
            found.append(version)
    return found


def _told(store: Store, application: str) -> list[tuple[str, str]]:
    """Version and action of an application's rows, oldest first."""
    table = Table(store, TABLE)
    if not table.exists():
        return []
    rows = table.read(["version", "action", "at"], pc.field("application") == application).sort_by("at")
    return list(zip(rows["version"].to_pylist(), rows["action"].to_pylist(), strict=True))


_TIME = pa.timestamp("us", "UTC")
