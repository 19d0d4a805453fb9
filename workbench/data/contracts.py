"""The contract of a data set: what each column's values must be, as data, and which rows of a table break it.

Rules per column (`ColumnConfig`): type, nulls, minimum, maximum, categories, unique, ordered; numbers must be finite,
texts no longer than the endpoint takes them, and an id is always unique. A row that breaks a rule goes to quarantine
with the names of all rules that it breaks; nothing is repaired, nothing vanishes. A value that is not of its type came
in as null with its text beside it (see `casting.py`): it breaks that rule and no other, and is shown as the file has
it. Where rows are versions of facts, id and known time together are unique, and a deletion needs no other value. See
`checks.py` for a whole snapshot.
"""

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ColumnConfig, DataConfig
from workbench.data.casting import UNFIT
from workbench.data.labels import TIME
from workbench.data.versions import Versions

REASONS = "__reasons"
LEAST, MOST = -(2**63), 2**63 - 1  # of a whole number
LONGEST_TEXT = 200  # characters, without declared categories: what a model is trained on, the endpoint takes too
Mask = NDArray[np.bool_]
Contract = Mapping[str, ColumnConfig]


@dataclass(frozen=True)
class Context:
    """What a file must know of the others: the greatest value before it (ordered) and the repeated values (unique).

    `longest_text` is for rows that an endpoint will be asked. Where rows are versions, `twice` holds id and known time
    of those that occur more than once.
    """

    before: Mapping[str, Any] = field(default_factory=dict)
    repeated: Mapping[str, pa.Array] = field(default_factory=dict)
    versions: Versions | None = None
    twice: pa.Table | None = None
    longest_text: int | None = None


@dataclass(frozen=True)
class Violation:
    """How often a rule was broken, with the value and the id of the first row that broke it."""

    column: str
    rule: str
    count: int
    example: str
    id: str


def contract_of(data: DataConfig) -> dict[str, ColumnConfig]:
    """The contract of each column of a data set. Row numbers need no check; of versions see `Context`."""
    columns = dict(data.columns)
    if data.id in columns:
        unique = not data.numbered and data.versions is None
        columns[data.id] = dataclasses.replace(columns[data.id], unique=unique)
    return columns


def with_reasons(table: pa.Table, contract: Contract, context: Context) -> pa.Table:
    """The table with a column that lists, for each row, the rules that it breaks (`column: rule`)."""
    broken = [(name, np.flatnonzero(mask)) for name, mask in _broken(table, contract, context)]
    rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows in broken)])
    names = np.concatenate([np.empty(0, np.str_), *(np.full(len(rows), name) for name, rows in broken)])
    offsets = np.append(0, np.cumsum(np.bincount(rows, minlength=table.num_rows)))
    by_row = pa.array(names[np.argsort(rows, kind="stable")].tolist(), pa.string())
    return table.append_column(REASONS, pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), by_row))


def good(table: pa.Table) -> pa.Table:
    """The rows that break no rule, as they came."""
    unfit = [name for name in table.column_names if name.startswith(UNFIT)]
    return table.filter(_is_good(table)).drop_columns([REASONS, *unfit])


def bad(table: pa.Table) -> pa.Table:
    """The rows that break a rule, with their reasons."""
    return table.filter(pc.invert(_is_good(table)))


def quarantine_rows(table: pa.Table, id_column: str, recorded_at: dt.datetime) -> pa.Table:
    """Bad rows as quarantine keeps them: id, reasons and the whole row as JSON, whatever its types were."""
    rows = _as_found(table)
    return pa.table(
        {
            "id": pa.array([str(row[id_column]) for row in rows], pa.string()),
            "reasons": table[REASONS],
            "row": pa.array([json.dumps(row, default=str) for row in rows], pa.string()),
            "recorded_at": pa.repeat(pa.scalar(recorded_at, TIME), len(rows)),
        }
    )


def violations(table: pa.Table, id_column: str) -> list[Violation]:
    """Every rule that the rows of a table break, with the first row that does."""
    reasons = table[REASONS].combine_chunks()
    per_row = pa.table({"reason": reasons.flatten(), "row": pc.list_parent_indices(reasons)})
    broken = per_row.group_by("reason", use_threads=False).aggregate([("row", "count"), ("row", "min")])
    found = []
    for one in broken.to_pylist():
        column, _, rule = one["reason"].rpartition(": ")
        (first,) = _as_found(table[one["row_min"] : one["row_min"] + 1])
        found.append(Violation(column, rule, one["row_count"], str(first[column])[:80], str(first[id_column])[:80]))
    return found


def merged(parts: Iterable[Violation]) -> list[Violation]:
    """The violations of several files as one list, the most frequent first, each with its first example."""
    total: dict[tuple[str, str], Violation] = {}
    for one in parts:
        first = total.get((one.column, one.rule))
        total[one.column, one.rule] = dataclasses.replace(first, count=first.count + one.count) if first else one
    return sorted(total.values(), key=lambda one: -one.count)


def table_of(listed: Iterable[Violation]) -> str:
    """Violations as an aligned table for the terminal."""
    lines = [("column", "rule", "rows", "example", "in row with id")]
    lines += [(one.column, one.rule, f"{one.count:,}", one.example[:40], one.id[:40]) for one in listed]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in padded)


def comparable(values: pa.Array) -> NDArray[Any]:
    """Numbers or times as NumPy numbers of the same order; what is null or not finite is smaller than all."""
    plain = values.cast(pa.int64()) if pa.types.is_temporal(values.type) else values
    if pa.types.is_floating(plain.type):
        return pc.if_else(_usable(plain), plain, -np.inf).to_numpy()
    return pc.fill_null(plain, np.iinfo(np.int64).min).to_numpy()


def _as_found(table: pa.Table) -> list[dict[str, Any]]:
    """The rows with the file's own text in the place of a value that is not of its type."""
    rows: list[dict[str, Any]] = table.drop_columns([REASONS]).to_pylist()
    for unfit in [name for name in table.column_names if name.startswith(UNFIT)]:
        for row in rows:
            if (text := row.pop(unfit)) is not None:
                row[unfit.removeprefix(UNFIT)] = text
    return rows


def _is_good(table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(pc.list_value_length(table[REASONS]), 0)


def _broken(table: pa.Table, contract: Contract, context: Context) -> Iterator[tuple[str, Mask]]:
    """Each rule and the rows that break it. A null breaks the rule about nulls only, a misfit that about types."""
    versions = context.versions
    lives = pa.array(~versions.gone(table)) if versions else True
    for name, column in contract.items():
        values = table[name].combine_chunks()
        fits: pa.Array | bool = True
        if UNFIT + name in table.column_names:
            fits = pc.is_null(table[UNFIT + name].combine_chunks())
            yield f"{name}: not of type {column.type}", pc.invert(fits).to_numpy(zero_copy_only=False)
        needed = pc.and_(fits, lives) if versions and name not in versions.keys else fits
        for rule, broken in _rules(values, column, needed, context.longest_text):
            yield f"{name}: {rule}", pc.fill_null(broken, False).to_numpy(zero_copy_only=False)
        if (repeated := context.repeated.get(name)) is not None and len(repeated):
            yield f"{name}: not unique", pc.is_in(values, value_set=repeated).to_numpy(zero_copy_only=False)
        if column.ordered:
            yield f"{name}: out of order", _out_of_order(values, context.before.get(name))
    if versions and context.twice:
        yield f"{versions.id}: not unique at its known time", _twice(table, versions, context.twice)


def _twice(table: pa.Table, versions: Versions, twice: pa.Table) -> Mask:
    """Which rows have id and known time of one of these."""
    names = list(versions.keys)
    some = pc.is_in(table[versions.id], value_set=twice[versions.id].combine_chunks()).to_numpy()
    pairs = set(zip(*(twice[name].to_pylist() for name in names), strict=True))
    rows = table.select(names).filter(pa.array(some))
    found = np.zeros(table.num_rows, bool)
    found[some] = [pair in pairs for pair in zip(*(rows[name].to_pylist() for name in names), strict=True)]
    return found


def _rules(
    values: pa.Array, column: ColumnConfig, needed: pa.Array | bool, longest_text: int | None
) -> Iterator[tuple[str, pa.Array]]:
    """`needed`: which rows must have a value, unless the column may be null."""
    if not column.nulls:
        yield "null", pc.and_(pc.is_null(values), needed)
    if pa.types.is_floating(values.type):
        yield "not finite", pc.invert(pc.is_finite(values))
    if column.minimum is not None:
        yield f"below {column.minimum:.15g}", _below(values, column.minimum)
    if column.maximum is not None:
        yield f"above {column.maximum:.15g}", _above(values, column.maximum)
    if column.categories is not None:
        known = pc.is_in(values, value_set=pa.array(column.categories, pa.string()))
        yield "unknown category", pc.and_(pc.invert(known), pc.is_valid(values))
    if longest_text is not None and is_text(column):
        yield f"longer than {longest_text} characters", pc.greater(pc.utf8_length(values), longest_text)


def _below(values: pa.Array, minimum: float) -> pa.Array:
    """Whole numbers against the next whole number: Arrow refuses to compare those beyond 2**53 with a float."""
    if not pa.types.is_integer(values.type):
        return pc.less(values, minimum)
    if minimum > MOST:
        return pc.is_valid(values)
    return pc.less(values, pa.scalar(math.ceil(max(LEAST, minimum)), pa.int64()))  # in this order: nan gives LEAST


def _above(values: pa.Array, maximum: float) -> pa.Array:
    """As `_below`, with the whole number before."""
    if not pa.types.is_integer(values.type):
        return pc.greater(values, maximum)
    if maximum < LEAST:
        return pc.is_valid(values)
    return pc.greater(values, pa.scalar(math.floor(min(MOST, maximum)), pa.int64()))


def is_text(column: ColumnConfig) -> bool:
    """Whether its values may be any text, so that their length has to be bounded."""
    return column.type == "string" and not column.categories


def _out_of_order(values: pa.Array, before: Any) -> Mask:
    """Whether a value is smaller than one of those before it, in this file or an earlier one."""
    numbers = comparable(values)
    start = numbers[:1] if before is None else np.asarray([before], numbers.dtype)
    highest = np.maximum.accumulate(np.concatenate([start, numbers]))[:-1]
    return (numbers < highest) & _usable(values).to_numpy(zero_copy_only=False)


def _usable(values: pa.Array) -> pa.Array:
    floating = pa.types.is_floating(values.type)
    return pc.fill_null(pc.is_finite(values), False) if floating else pc.is_valid(values)
