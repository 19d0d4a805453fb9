"""Jobs as text for people."""

import datetime as dt
from collections.abc import Iterable

from workbench.jobs.attempts import Attempt


def table(found: Iterable[Attempt]) -> str:
    """A line per job, the newest first."""
    rows: list[tuple[str, ...]] = [("job", "state", "step", "experiment", "who", "commit", "started")]
    for one in sorted(found, key=lambda one: -(one.started_s or 0)):
        about = [one.about.get(name, "") for name in ("step", "experiment", "who")]
        rows.append((one.name, one.state.value, *about, _commit(one), time(one.started_s)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def card(one: Attempt) -> str:
    """Everything that is known of one job, a line each."""
    ends = {"started": time(one.started_s), "ended": time(one.ended_s), "exit code": str(one.exit_code)}
    told = {"job": one.name, "state": one.state.value, "message": one.message, **one.about, **ends}
    return "\n".join(f"{key:11}{text}" for key, text in told.items())


def time(seconds: float | None) -> str:
    """A time since 1970 in UTC, to the second."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds else ""


def _commit(one: Attempt) -> str:
    return one.about.get("commit", "") + ("+changed" if one.about.get("tree") == "changed" else "")


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
