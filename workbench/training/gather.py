"""The rows of the folds: read by one task a file and put in the order of their ids.

All families share them. They stay in the memory of the cluster: the driver holds references and counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from workbench.data.parquet import FileEntry, read_table
from workbench.data.store import Artifact

if TYPE_CHECKING:
    from ray.data import Dataset

MOST_ROWS = 1_000_000  # of a part: what one task sorts in its memory
PROBES = 200  # ids of a file by which its place in the order is judged


@dataclass(frozen=True)
class Gathered:
    """Rows in parts, in order: the features as float32, then the label."""

    parts: list[Any]  # references to tables
    rows: int
    classes: int  # how many different labels there are
    names: tuple[str, ...] = ()  # of the features

    def dataset(self) -> "Dataset":
        """The same as a dataset of Ray Data."""
        import ray.data  # slow to import, and the tasks below need none of it

        return ray.data.from_arrow_refs(self.parts)

    def every(self, step: int) -> pa.Table:
        """Every so many-th row, part by part."""
        found, before = [], 0
        for part in map(ray.get, self.parts):
            found.append(part.take(np.arange(-before % step, part.num_rows, step)))
            before += part.num_rows
        return pa.concat_tables(found)


@dataclass(frozen=True)
class _Seen:
    """What the driver learns of a file's chosen rows."""

    rows: int
    labels: frozenset[float]
    ids: pa.Array


def gather(
    features: Artifact, names: Sequence[str], order_by: str, chosen: Mapping[str, pc.Expression]
) -> dict[str, Gathered]:
    """The labelled rows of a feature snapshot that each expression chooses."""
    columns = [order_by, *names, "label"]
    read, store = ray.remote(_read).options(num_returns=2), features.store
    known = pc.is_valid(pc.field("label"))
    asked = {
        name: [read.remote(store.fs, features.folder, entry, columns, rows & known) for entry in features.files]
        for name, rows in chosen.items()
    }
    return {
        name: _ordered(tuple(names), [one for one, _ in files], ray.get([two for _, two in files]))
        for name, files in asked.items()
    }


def _read(fs: Any, folder: str, entry: FileEntry, columns: list[str], rows: pc.Expression) -> tuple[pa.Table, _Seen]:
    table = read_table(fs, folder, entry, columns, rows)
    order_by, *rest = columns
    table = table.cast(pa.schema([table.schema.field(order_by), *((name, pa.float32()) for name in rest)]))
    ids = table[order_by].combine_chunks()
    every = slice(None, None, max(1, table.num_rows // PROBES))
    return table, _Seen(
        table.num_rows, frozenset(table["label"].unique().to_pylist()), ids.take(np.arange(len(ids))[every])
    )


def _ordered(names: tuple[str, ...], tables: list[Any], seen: list[_Seen]) -> Gathered:
    """The rows of all tables, sorted by their first column and cut into parts, that column left out."""
    rows, labels = sum(one.rows for one in seen), frozenset[float]().union(*(one.labels for one in seen))
    count = max(1, -(-rows // MOST_ROWS))
    borders = _borders(pa.concat_arrays([one.ids for one in seen]), count)
    cut, sort = ray.remote(_cut).options(num_returns=count), ray.remote(_sorted)
    pieces = [cut.remote(table, borders) for table in tables] if count > 1 else [[table] for table in tables]
    return Gathered([sort.remote(*part) for part in zip(*pieces, strict=True)], rows, len(labels), names)


def _borders(ids: pa.Array, count: int) -> pa.Array:
    """The ids at which parts of about one size begin, but for the first part."""
    at = [len(ids) * part // count for part in range(1, count)]
    return pc.take(ids, pc.take(pc.array_sort_indices(ids), pa.array(at, pa.int64())))


def _cut(table: pa.Table, borders: pa.Array) -> list[pa.Table]:
    ids, low = table.column(0), [None, *borders]
    return [table.filter(_between(ids, first, end)) for first, end in zip(low, [*borders, None], strict=True)]


def _between(ids: pa.ChunkedArray, first: Any, end: Any) -> pa.ChunkedArray:
    above = pc.greater_equal(ids, first) if first is not None else pa.scalar(True)
    below = pc.less(ids, end) if end is not None else pa.scalar(True)
    return pc.and_(above, below)


def _sorted(*tables: pa.Table) -> pa.Table:
    table = pa.concat_tables(tables)
    return table.sort_by(table.column_names[0]).drop_columns(table.column_names[:1])
