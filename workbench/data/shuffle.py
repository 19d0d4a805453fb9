"""A snapshot's rows, brought together by one key after the other, in plain Ray tasks.

Every task reads the parts that belong to its bucket, works on them, and splits the result by the next key; the parts
travel through the object store, which spills to disk what does not fit. So memory follows the bucket, not the table.
(Ray Data's own shuffle takes four to five times as long for this on two cores.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from workbench.data.buckets import split
from workbench.data.parquet import FileEntry, read_table, write_table
from workbench.data.snapshots import schema_of
from workbench.data.store import Artifact, Stage

Compute = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Pass:
    """Work on all rows that have equal values in these columns (and on other rows beside them)."""

    columns: tuple[str, ...]
    compute: Compute


@dataclass(frozen=True)
class Chain:
    """From the files of a snapshot through the passes to the files of another; needs a running Ray."""

    source: Artifact
    first: Compute  # on the rows of files
    passes: Sequence[Pass]
    last: Compute  # on what is left, before it is written
    buckets: int

    def write(self, stage: Stage) -> list[list[str]]:
        """Add a file per bucket (without passes: per file of the source) to `stage`; returns the rows' schema."""
        import ray

        shared, step = ray.put((self, stage)), ray.remote(_step)
        parts: list[list[Any]] = self._groups()
        for number in range(len(self.passes)):
            split_up = step.options(num_returns=self.buckets)
            rows = [split_up.remote(shared, number, *part) for part in parts]
            parts = [list(column) for column in zip(*(r if self.buckets > 1 else [r] for r in rows), strict=True)]
        ends = ray.get([step.remote(shared, len(self.passes), *part) for part in parts])
        stage.files = [entry for entry, _ in ends if entry.rows]
        return schema_of(pa.ipc.read_schema(pa.py_buffer(ends[0][1])))

    def read(self, entries: Sequence[FileEntry]) -> pa.Table:
        """The rows of some files of the source, after `first`."""
        read = [read_table(self.source.store.fs, self.source.folder, entry) for entry in entries]
        return self.first(pa.concat_tables(read))

    def _groups(self) -> list[list[FileEntry]]:
        """The source's files as the first tasks take them: not more tasks than buckets, for every pair has a part."""
        files = self.source.files
        size = -(-len(files) // self.buckets) if self.passes else 1
        return [files[start : start + size] for start in range(0, len(files), size)]


def _whole(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).combine_chunks()  # once, and not at every use of a column


def _step(shared: tuple[Chain, Stage], number: int, *parts: Any) -> Any:
    """One task: the rows of its parts, split for pass `number`, or written after the last one."""
    chain, stage = shared
    rows = chain.read(parts) if number == 0 else chain.passes[number - 1].compute(_whole(parts))
    if number < len(chain.passes):
        pieces = split(rows, chain.passes[number].columns, chain.buckets)
        return pieces if chain.buckets > 1 else pieces[0]
    done = chain.last(rows)
    return write_table(stage.store.fs, stage.folder, done), done.schema.serialize().to_pybytes()
