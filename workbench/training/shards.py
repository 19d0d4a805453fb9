"""The rows of the folds: read by one task a file, put in the order of their ids, and handed out in even shards.

All families share them. They stay in the memory of the cluster: the driver holds references and counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data
import ray.train

from workbench.data.parquet import FileEntry, read_table
from workbench.data.store import Artifact
from workbench.training.fits import SCORED

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

    def dataset(self) -> "Dataset":
        """The same as a dataset of Ray Data."""
        return ray.data.from_arrow_refs(self.parts)


class EvenShards(ray.train.DataConfig):
    """Every worker gets the same share of every dataset, in the same order each time, and no row is left out.

    Ray's own split equalises by leaving rows out, and hands out blocks to whoever asks first: another model each time.
    """

    def configure(self, datasets: dict[str, Any], world_size: int, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """The shards of each worker by name; what is scored goes whole to whoever asks (the first worker)."""
        shards: list[dict[str, Any]] = [{} for _ in range(world_size)]
        for name, data in datasets.items():
            parts = [data] * world_size if name.endswith(SCORED) else _even(data, world_size)
            for worker, part in enumerate(parts):
                shards[worker][name] = part.iterator()
        return shards


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
        name: _ordered([one for one, _ in files], ray.get([two for _, two in files])) for name, files in asked.items()
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


def _ordered(tables: list[Any], seen: list[_Seen]) -> Gathered:
    """The rows of all tables, sorted by their first column and cut into parts, that column left out."""
    rows, labels = sum(one.rows for one in seen), frozenset[float]().union(*(one.labels for one in seen))
    count = max(1, -(-rows // MOST_ROWS))
    borders = _borders(pa.concat_arrays([one.ids for one in seen]), count)
    cut, sort = ray.remote(_cut).options(num_returns=count), ray.remote(_sorted)
    pieces = [cut.remote(table, borders) for table in tables] if count > 1 else [[table] for table in tables]
    return Gathered([sort.remote(*part) for part in zip(*pieces, strict=True)], rows, len(labels))


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


def _even(data: "Dataset", workers: int) -> list["Dataset"]:
    """Consecutive shares whose sizes differ by one row at the most."""
    if workers == 1:
        return [data]
    total = data.count()
    return data.split_at_indices([total * worker // workers for worker in range(1, workers)])
