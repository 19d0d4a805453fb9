"""What the leak check names and what it blames in vain: planted leaks in real tables, and tables without any.

The seeds and the tables are none that the check's thresholds were chosen on. `ours` are the leaks named by their column
(or the clean tables refused), `peer` how many there were.

Run:    python -m benchmarks.leakcheck --json leakcheck.json
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import leak_clean, leak_plants, table
from benchmarks.leak_case import Case
from benchmarks.table import Row

ROWS = 12_000  # of a real table that a leak is planted in
NAMED, NOTED, REFUSED = "planted leaks named", "planted leaks that only a note names", "clean tables refused"
BLAMED = "planted tables, another column blamed"


def main() -> None:
    """Measure, print, and write the rows as JSON."""
    options = _options()
    started = time.monotonic()
    real = dict(leak_clean.published(options.reference))
    rows = [*planted(real, options.seed), *simulated(options.seed, options.tables), *clean(real)]
    print(_text(rows))
    print(f"{time.monotonic() - started:.0f} s, seed {options.seed}", file=sys.stderr)
    if options.json:
        table.write(options.json, rows)


def planted(real: dict[str, Case], seed: int, plants: Iterable[str] = tuple(leak_plants.PLANTS)) -> Iterator[Row]:
    """For each kind of leak, in how many real tables its column is named; and how often another is blamed."""
    noted, blamed, tables = 0, 0, 0
    for place, kind in enumerate(plants):
        named = 0
        for number, (name, one) in enumerate(real.items()):
            case = _planted(one, kind, np.random.default_rng([seed, place, number]))
            found = case.checked()
            leaks, notes = ({one.column for one in found if one.leak is leak} for leak in (True, False))
            named += case.names in leaks
            noted += case.names in notes - leaks
            blamed += bool(leaks - {case.names})
            tables += 1
            if leaks != {case.names}:
                _tell(f"{kind} in {name}: {', '.join(sorted(leaks)) or 'nothing'}; notes: {', '.join(sorted(notes))}")
        yield Row(f"leak: {kind}", named, len(real), NAMED)
    yield Row("named in a note only", noted, tables, NOTED)
    yield Row("another column blamed", blamed, tables, BLAMED)


def simulated(seed: int, tables: int) -> Iterator[Row]:
    """For each kind of clean table, how many of so many are refused."""
    for place, (kind, made) in enumerate(leak_clean.KINDS.items()):
        refused = [_refused(kind, made(np.random.default_rng([seed, place, number]))) for number in range(tables)]
        yield Row(f"clean: {kind}", sum(refused), tables, REFUSED)


def clean(real: dict[str, Case]) -> Iterator[Row]:
    """How many of the real tables are refused."""
    yield Row("clean: published", sum(_refused(name, one) for name, one in real.items()), len(real), REFUSED)


def _planted(one: Case, kind: str, random: np.random.Generator) -> Case:
    rows = np.sort(random.permutation(len(one.label_N))[:ROWS])
    frame = one.frame.iloc[rows].reset_index(drop=True).drop(columns=list(one.roles.values()))
    return leak_plants.PLANTS[kind](frame, one.label_N[rows], random)


def _refused(kind: str, case: Case) -> bool:
    found = [one for one in case.checked() if one.leak]
    for one in found:
        _tell(f"clean {kind}: {one.check}, {one.column}, {one.evidence}")
    return bool(found)


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _text(rows: list[Row]) -> str:
    """A line per case, and the sums."""
    lines = [f"{'':40}{'found':>8}{'of':>6}"]
    lines += [f"{row.case:40}{row.ours:>8.0f}{row.peer:>6.0f}" for row in rows]
    for unit in (NAMED, NOTED, BLAMED, REFUSED):
        ours, peer = (sum(getattr(row, side) for row in rows if row.unit == unit) for side in ("ours", "peer"))
        lines.append(f"{unit:40}{ours:>8.0f}{peer:>6.0f}  {ours / max(peer, 1):.1%}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = table.parser(__doc__)
    parser.add_argument("--seed", type=int, default=20_261_126, help="of all chance; another one draws other tables")
    parser.add_argument("--tables", type=int, default=25, help="simulated tables of each kind")
    default = os.environ.get("WORKBENCH_REFERENCE_DATA")
    parser.add_argument("--reference", type=Path, default=default, help="folder of the published tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
