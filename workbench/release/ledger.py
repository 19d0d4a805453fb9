"""The release ledger: what went live when, by whom and why. Append only; the newest row of an application is live."""

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
    return _newest(store, application, "promote")


def challenger(store: Store, application: str) -> str | None:
    """The version that was registered last as challenger; None where there was none."""
    return _newest(store, application, "challenge")


def _newest(store: Store, application: str, action: str) -> str | None:
    table = Table(store, TABLE)
    if not table.exists():
        return None
    mine = (pc.field("application") == application) & (pc.field("action") == action)
    rows = table.read(rows=mine).sort_by("at")
    return rows["version"][-1].as_py() if rows.num_rows else None


_TIME = pa.timestamp("us", "UTC")
