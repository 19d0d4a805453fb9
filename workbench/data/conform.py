"""The rows of one file in the declared columns and types, their labels apart, and a list of what is wrong with them."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ClockConfig, DataConfig
from workbench.data.casting import UNFIT, column_as, plain
from workbench.data.labels import TIME


@dataclass
class Conformed:
    """What one file gave: typed rows, a label per row (null: none), and what is wrong with the file as a whole.

    A value that is not of its column's type is null in the rows, and its text is in a column `__unfit.NAME` beside it.
    """

    events: pa.Table
    labels: pa.Array
    faults: list[str] = field(default_factory=list)


def conform(data: DataConfig, table: pa.Table, where: str) -> Conformed:
    """The rows of a table in the declared columns and types; see `finished` for ids and clocks of a source without."""
    nothing = pa.nulls(table.num_rows, pa.int8())
    if faults := [f"{where} {fault}" for fault in _column_faults(data, table.column_names)]:
        return Conformed(table.select([]), nothing, faults)
    typed, unfit = {}, {}
    for name, source in expected(data).items():
        try:
            typed[name], unfit[UNFIT + name] = column_as(table[source].combine_chunks(), data.columns[name])
        except pa.ArrowException as error:
            faults.append(f"{where}: column {source}: {error}. Correct the file or data.columns.{name}.")
    labels, fault = _labels(data, table) if data.label.column else (nothing, None)
    if fault:
        faults.append(f"{where}: {fault}")
    typed |= {name: texts for name, texts in unfit.items() if texts is not None}
    return Conformed(pa.table(typed) if not faults else table.select([]), labels, faults)


def expected(data: DataConfig) -> dict[str, str]:
    """The columns that must be in the file: name in the data set and name in the file."""
    made = {data.id} if data.numbered else set()
    made |= {data.event_time} if data.clock else set()
    return {name: column.source or name for name, column in data.columns.items() if name not in made}


def finished(data: DataConfig, events: pa.Table, first_row: int, unfit: Sequence[str] = ()) -> pa.Table:
    """The same rows with id, times and columns `unfit` filled in, in the order id, times, the others, `unfit`."""
    number = np.arange(first_row, first_row + events.num_rows)
    columns = {name: events[name] for name in events.column_names}
    if data.numbered:
        columns[data.id] = pa.array(number)
    if data.clock is not None:
        columns[data.event_time] = _ticks(data.clock, number)
    known = data.known_time or "known_time"
    columns.setdefault(known, columns[data.event_time])
    for name in unfit:
        columns.setdefault(name, pa.nulls(events.num_rows, pa.string()))
    order = [data.id, data.event_time, known]
    return pa.table({name: columns[name] for name in dict.fromkeys([*order, *data.columns, *unfit])})


def _ticks(clock: ClockConfig, number: NDArray[np.int64]) -> pa.Array:
    """The declared time of each row by its number."""
    start = dt.datetime.fromisoformat(clock.start)
    first = pa.scalar(start if start.tzinfo else start.replace(tzinfo=dt.UTC), TIME).cast(pa.int64()).as_py()
    return pa.array(first + np.rint(number * clock.step_s * 1e6).astype(np.int64)).cast(TIME)


def _column_faults(data: DataConfig, found: list[str]) -> Iterator[str]:
    wanted = [*expected(data).values(), *([data.label.column] if data.label.column else [])]
    for name in dict.fromkeys(wanted):
        if name not in found:
            yield f"has no column {name}. It has: {', '.join(found)}. Correct data.columns or the file."
    for name, times in Counter(found).items():
        if times > 1:
            yield f"has {times} columns {name}. Rename all but one in the file."
        if name not in (*wanted, *data.source.ignore):
            yield f"has a column {name} that is not declared. Add it to data.columns, or to data.source.ignore."


def _labels(data: DataConfig, table: pa.Table) -> tuple[pa.Array, str | None]:
    """The label of each row, null where the file has none, and what is wrong with the column."""
    label = data.label
    values = plain(table[str(label.column)].combine_chunks()).cast(pa.string())
    positive = pc.equal(values, pa.scalar(label.positive, pa.string())).cast(pa.int8())
    if label.negative is None:
        return positive, None
    known = pa.array([label.positive, label.negative], pa.string())
    odd = values.filter(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=known))))
    if not len(odd):
        return positive, None
    others = ", ".join(repr(one[:40]) for one in sorted(odd.unique().to_pylist())[:5])
    return pa.nulls(len(values), pa.int8()), (
        f"label {label.column} holds {others} in {len(odd)} rows. data.label.positive={label.positive} and"
        f" negative={label.negative} name its only values: correct them or the file."
    )
