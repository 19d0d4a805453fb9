"""The two columns of a benchmark: ours, the peer's and their ratio, for people and for machines."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One case, measured on both sides in one run."""

    case: str
    ours: float
    peer: float
    unit: str

    @property
    def ratio(self) -> float:
        """Ours over the peer's."""
        return self.ours / self.peer


def tell(rows: Sequence[Row], file: Path | None) -> None:
    """Print the rows, and write them where `--json` says."""
    print(text(rows))
    if file:
        write(file, rows)


def text(rows: Sequence[Row]) -> str:
    """A line per case."""
    lines = [f"{'':36}{'ours':>10}{'peer':>10}{'ratio':>8}"]
    lines += [f"{row.case:36}{row.ours:>10.4g}{row.peer:>10.4g}{row.ratio:>8.2f}  {row.unit}" for row in rows]
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row]) -> None:
    """`{"rows": [{"case", "ours", "peer", "ratio", "unit"}]}`."""
    listed = [{**dataclasses.asdict(row), "ratio": row.ratio} for row in rows]
    path.write_text(json.dumps({"rows": listed}, indent=1) + "\n")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    return made
