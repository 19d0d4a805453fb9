"""The release ledger: what was done with each version when, by whom and why, and so what is live. Append only.

The rows of all applications are one Delta table; each application's are numbered, and one that was decided on what is
live no more is not written (`append`). What is live stands in one small file besides, which replicas watch.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from workbench.data.parquet import read_bytes, write_bytes
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.errors import EnvironmentFault
from workbench.governance.users import user
from workbench.release.releases import Releases, folded

TABLE = "releases"
log = logging.getLogger("ray.serve")
ROWS = pa.schema(
    [
        ("application", pa.string()),
        ("version", pa.string()),
        ("action", pa.string()),
        ("who", pa.string()),
        ("why", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("config_digest", pa.string()),  # of the version's manifest; null: there is no such version
        ("from_alias", pa.string()),  # what the version was before: champion, canary, shadow, ...; null: nothing
        ("canary_percent", pa.int64()),
        ("canary_steps", pa.list_(pa.int64())),
        ("step", pa.int64()),  # the row's number among its application's, from 1
    ]
)


@dataclass(frozen=True)
class Act:
    """One row in the making."""

    version: str
    action: str
    why: str
    who: str | None = None  # None: the user of this process
    canary_percent: int | None = None
    canary_steps: tuple[int, ...] | None = None


def live_releases(store: Store, application: str) -> Releases:
    """What is live of an application, by its whole ledger."""
    return folded(history(store, application))


def history(store: Store, application: str) -> list[dict[str, Any]]:
    """The rows of an application, oldest first."""
    table = Table(store, TABLE)
    if not table.exists():
        return []
    rows: list[dict[str, Any]] = table.read(rows=pc.field("application") == application).to_pylist()
    return sorted(rows, key=lambda row: (row.get("step") or 0, row["at"]))


def append(store: Store, application: str, act: Act, live: Releases) -> Releases | None:
    """What is live after the act; None, and nothing written, where `live`, which it was decided on, is live no more."""
    step, made = live.step + 1, store.find("models", act.version)
    row = {
        "application": application,
        "version": act.version,
        "action": act.action,
        "who": act.who or user(),
        "why": act.why,
        "at": dt.datetime.now(dt.UTC),
        "config_digest": made and made.manifest["config_digest"],
        "from_alias": live.alias(act.version),
        "canary_percent": act.canary_percent,
        "canary_steps": act.canary_steps,
        "step": step,
    }
    rows, number = pa.Table.from_pylist([row], ROWS), dict[str, str | int](application=application, step=step)
    return _published(store, application) if Table(store, TABLE).append_unless(rows, number) else None


def _published(store: Store, application: str) -> Releases:
    """What is live after an act that is written: it is done, even where the small file cannot follow at once."""
    try:
        return publish(store, application)
    except (EnvironmentFault, OSError) as error:
        log.error("%s is not written yet, an endpoint does it within seconds: %s", file(store, application), error)
        return live_releases(store, application)


def publish(store: Store, application: str) -> Releases:
    """What is live, after the file that replicas watch says it; whoever writes it last has seen all rows before."""
    while (live := live_releases(store, application)) != told(store, application):
        store.begin()
        write_bytes(store.fs, file(store, application), live.to_json())
    return live


def told(store: Store, application: str) -> Releases | None:
    """What the small file says; None where there is none."""
    path = file(store, application)
    if store.fs.get_file_info(path).type != fs.FileType.File:
        return None
    return Releases.from_json(read_bytes(store.fs, path))


def file(store: Store, application: str) -> str:
    """The path of the small file, as the store's filesystem wants it."""
    return store.path("tables", "live", f"{quote(application, safe='')}.json")


def release(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a version goes live; a version that is live already is not written again."""
    _unless(store, Act(version, "promote", why), application, lambda now: now.champion == version)


def withdraw(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a version must not be live; nothing where it is nothing, or withdrawn already."""
    unknown = (None, "challenger")
    _unless(store, Act(version, "withdraw", why), application, lambda now: now.alias(version) in unknown)


def refuse(store: Store, application: str, version: str, why: str) -> None:
    """Write down that an endpoint could not take a version; nothing where it is nothing, or refused already."""
    unknown = (None, "challenger")
    _unless(store, Act(version, "refuse", why, "endpoint"), application, lambda now: now.alias(version) in unknown)


def is_released(store: Store, application: str, version: str) -> bool:
    """Whether a version was promoted and not withdrawn since, be it live or followed by another."""
    return version in live_releases(store, application).promoted


def challenge(store: Store, application: str, version: str, why: str) -> None:
    """Write down that a version stands beside the live one; the newest challenger is not written again."""
    _unless(store, Act(version, "challenge", why), application, lambda now: now.challenger == version)


def live(store: Store, application: str) -> str | None:
    """The version that the ledger says is live; None before the first release."""
    return live_releases(store, application).champion


def challenger(store: Store, application: str) -> str | None:
    """The version that was registered last as challenger; None where there was none."""
    return live_releases(store, application).challenger


def _unless(store: Store, act: Act, application: str, done: Any) -> None:
    """Write a row unless it is done already, whoever else writes meanwhile."""
    while not done(now := live_releases(store, application)):
        if append(store, application, act, now):
            return
