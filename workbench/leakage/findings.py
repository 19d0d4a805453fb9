"""What a check found: a column, the numbers that show it, and what to do; and all findings as one aligned table."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that a check found. A leak refuses the table; a note is for a person to look at."""

    check: str
    column: str
    evidence: str
    remedy: str
    leak: bool = True


def table_of(found: Iterable[Finding]) -> str:
    """The findings as aligned text: check, column, evidence, remedy."""
    rows = [(one.check, one.column, one.evidence, one.remedy) for one in found]
    widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else []
    lines = ["  ".join([*(cell.ljust(widths[i]) for i, cell in enumerate(row[:3])), row[3]]) for row in rows]
    return "\n".join(lines)


def once(found: Iterable[Finding]) -> list[Finding]:
    """The findings in their order, one per check and column."""
    kept: dict[tuple[str, str, bool], Finding] = {}
    for one in found:
        kept.setdefault((one.check, one.column, one.leak), one)
    return list(kept.values())
