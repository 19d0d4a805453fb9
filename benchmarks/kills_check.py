"""What a disturbed training must have in common with the undisturbed one."""

from typing import Any

import pyarrow as pa

from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.training import segments


def faults(family: str, undisturbed: Store, disturbed: Store) -> list[str]:
    """What is wrong with a family that was trained in spite of a kill; nothing where the kill changed nothing."""
    expected, found = (store.get("runs", store.keys("runs")[0]) for store in (undisturbed, disturbed))
    return [
        *_history_faults(_history(family, expected), _history(family, found)),
        *([] if found.figures[family] == expected.figures[family] else [f"figures: {found.figures[family]}"]),
        *_segment_faults(_segments(family, found)),
    ]


def _history_faults(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[str]:
    steps = [(row["fit"], row["metric"], row["step"]) for row in found]
    twice = sorted({step for step in steps if steps.count(step) > 1})
    if twice:
        return [f"in the history twice: {twice}"]
    if found != expected:
        return [f"the history differs in {sum(row not in expected for row in found)} of {len(expected)} rows"]
    return []


def _segment_faults(found: dict[int, pa.Table]) -> list[str]:
    again = segments.repeated(found)
    told = [f"trained twice: {again}"] if again else []
    return told if len(found) > 1 else ["it was not killed while it trained", *told]


def _history(family: str, run: Artifact) -> list[dict[str, Any]]:
    (table,) = (snapshots.read_file(run, one) for one in run.files if one.name.startswith("history"))
    return [row for row in table.to_pylist() if row["family"] == family]


def _segments(family: str, run: Artifact) -> dict[int, pa.Table]:
    listed = (one for one in run.files if one.name.startswith(f"segment-{family}-"))
    return dict(enumerate((snapshots.read_file(run, one) for one in listed), start=1))
