"""The contract of a data set, checked where the rows are: vectorised per file, never collected into one process.

Rules per column (`ColumnConfig`): nulls, minimum, maximum, categories, unique, ordered; numbers must be finite. A row
that breaks a rule goes to quarantine with the names of all rules that it breaks; nothing is repaired, nothing vanishes.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ColumnConfig
from workbench.data import distributed
from workbench.data.buckets import bucket_of
from workbench.data.store import Artifact

if TYPE_CHECKING:
    from ray.data import Dataset

REASONS = "__reasons"
BUCKETS = 8
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Context:
    """What a file must know of the others: the greatest value before it (ordered) and the repeated values (unique)."""

    before: Mapping[str, Any] = field(default_factory=dict)
    repeated: Mapping[str, pa.Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Violation:
    """How often a rule was broken, with one example."""

    column: str
    rule: str
    count: int
    example: str


def with_reasons(table: pa.Table, columns: Mapping[str, ColumnConfig], context: Context) -> pa.Table:
    """The table with a column that lists, for each row, the rules that it breaks (`column: rule`)."""
    broken = [(name, np.flatnonzero(mask)) for name, mask in _broken(table, columns, context)]
    rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows in broken)])
    names = np.concatenate([np.empty(0, np.str_), *(np.full(len(rows), name) for name, rows in broken)])
    offsets = np.append(0, np.cumsum(np.bincount(rows, minlength=table.num_rows)))
    by_row = pa.array(names[np.argsort(rows, kind="stable")].tolist(), pa.string())
    return table.append_column(REASONS, pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), by_row))


def violations(bad: pa.Table) -> list[Violation]:
    """All rules that the rows of quarantine break, the most frequent first."""
    found: dict[str, list[int]] = {}
    for row, reasons in enumerate(bad[REASONS].to_pylist()):
        for reason in reasons:
            found.setdefault(reason, []).append(row)
    listed = []
    for reason, rows in sorted(found.items(), key=lambda item: -len(item[1])):
        column, rule = reason.split(": ", 1)
        listed.append(Violation(column, rule, len(rows), str(bad[column][rows[0]].as_py())))
    return listed


def quarantine_rows(bad: pa.Table, id_column: str, recorded_at: dt.datetime) -> pa.Table:
    """Bad rows as quarantine keeps them: id, reasons and the whole row as JSON, whatever its types were."""
    rows = bad.drop_columns([REASONS]).to_pylist()
    return pa.table(
        {
            "id": pa.array([str(row[id_column]) for row in rows], pa.string()),
            "reasons": bad[REASONS],
            "row": pa.array([json.dumps(row, default=str) for row in rows], pa.string()),
            "recorded_at": pa.repeat(pa.scalar(recorded_at, pa.timestamp("us", "UTC")), len(rows)),
        }
    )


def table_of(listed: list[Violation]) -> str:
    """Violations as an aligned table for the terminal."""
    lines = [
        ("column", "rule", "rows", "example"),
        *((v.column, v.rule, f"{v.count:,}", v.example[:40]) for v in listed),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def checked(raw: Artifact, columns: Mapping[str, ColumnConfig]) -> "Dataset":
    """All rows of a snapshot with their reasons, file by file and in order; needs a running Ray."""
    contexts = _contexts(raw, columns)
    return distributed.map_files(raw, lambda index, table: with_reasons(table, columns, contexts[index]))


def _broken(table: pa.Table, columns: Mapping[str, ColumnConfig], context: Context) -> Iterator[tuple[str, Mask]]:
    for name, column in columns.items():
        values = table[name].combine_chunks()
        if not column.nulls:
            yield f"{name}: null", _mask(pc.is_null(values))
        if pa.types.is_floating(values.type):
            yield f"{name}: not finite", _mask(pc.invert(pc.is_finite(values)))
        if column.minimum is not None:
            yield f"{name}: below {column.minimum:g}", _mask(pc.less(values, column.minimum))
        if column.maximum is not None:
            yield f"{name}: above {column.maximum:g}", _mask(pc.greater(values, column.maximum))
        if column.categories is not None:
            known = pc.is_in(values, value_set=pa.array(column.categories, pa.string()))
            yield f"{name}: unknown category", _mask(pc.and_(pc.invert(known), pc.is_valid(values)))
        if column.unique and name in context.repeated:
            yield f"{name}: not unique", _mask(pc.is_in(values, value_set=context.repeated[name]))
        if column.ordered:
            yield f"{name}: out of order", _out_of_order(values, context.before.get(name))


def _mask(values: pa.Array) -> Mask:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def _out_of_order(values: pa.Array, before: Any) -> Mask:
    """Whether a value is smaller than one of those before it, in this file or an earlier one."""
    numbers = _numbers(values)
    start = np.array([np.iinfo(np.int64).min if before is None else before])
    highest = np.maximum.accumulate(np.concatenate([start, numbers]))[:-1]
    return (numbers < highest) & _mask(pc.is_valid(values))


def _numbers(values: pa.Array) -> NDArray[np.int64]:
    plain = values.cast(pa.int64()) if pa.types.is_temporal(values.type) else values
    return pc.fill_null(plain, np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)


def _contexts(raw: Artifact, columns: Mapping[str, ColumnConfig]) -> list[Context]:
    ordered = [name for name, column in columns.items() if column.ordered]
    unique = [name for name, column in columns.items() if column.unique]
    repeated = {name: _repeated(raw, name) for name in unique}
    highest = _highest(raw, ordered)
    return [Context(before, repeated) for before in highest]


def _highest(raw: Artifact, names: list[str]) -> list[dict[str, int]]:
    """For each file the greatest value of each column in the files before it."""
    if not names:
        return [{} for _ in raw.files]

    def greatest(index: int, table: pa.Table) -> pa.Table:
        found = {name: [int(_numbers(table[name].combine_chunks()).max(initial=-(2**63)))] for name in names}
        return pa.table({"__index": [index], **found})

    per_file = sorted(distributed.map_files(raw, greatest).take_all(), key=lambda row: row["__index"])
    before = dict.fromkeys(names, -(2**63))
    result = []
    for row in per_file:
        result.append(dict(before))
        before = {name: max(before[name], row[name]) for name in names}
    return result


def _repeated(raw: Artifact, name: str) -> pa.Array:
    """The values of a column that occur more than once, found per hash bucket so that no process sees all values."""

    def hashed(_: int, table: pa.Table) -> pa.Table:
        return pa.table({name: table[name], "__bucket": bucket_of(table[name], BUCKETS)})

    def repeats(group: pa.Table) -> pa.Table:
        counts = group[name].combine_chunks().value_counts()
        return pa.table({name: counts.field("values").filter(pc.greater(counts.field("counts"), 1))})

    buckets = distributed.map_files(raw, hashed).groupby("__bucket")
    found = buckets.map_groups(repeats, batch_format="pyarrow").take_all()
    values = [row[name] for row in found]
    kind = next(pa.type_for_alias(t) for n, t in raw.manifest["schema"] if n == name) if values else pa.null()
    return pa.array(values, kind)
