"""Rows of a snapshot that is larger than one process should hold, sampled so that what is compared stays together.

A row is in a sample when the hash of some of its columns is small enough. Rows with equal values in these are all in it
or all out of it: by the id they are any rows, by an entity its whole history, by their content equal rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from workbench.data import snapshots
from workbench.data.buckets import below
from workbench.data.store import Artifact

LEAST = 2.0**-30  # share below which there is nothing left to halve: one value has all the rows


@dataclass
class Sample:
    """Rows by the hash of `by`: where they become more than `limit`, the share of hashes is halved."""

    by: Sequence[str]
    limit: int
    share: float = 1.0
    blocks: list[pa.Table] = field(default_factory=list)

    def add(self, block: pa.Table) -> None:
        """Take what is in the share, whatever order the blocks come in."""
        self.blocks.append(self._of(block))
        while sum(one.num_rows for one in self.blocks) > self.limit and self.share > LEAST:
            self.share /= 2
            self.blocks = [self._of(one) for one in self.blocks]

    def table(self) -> pa.Table:
        """All rows of the sample."""
        return pa.concat_tables(self.blocks)

    def _of(self, block: pa.Table) -> pa.Table:
        return block.filter(pa.array(below(block, self.by, self.share))) if self.share < 1 else block


def samples(blocks: Iterable[pa.Table], wanted: Mapping[str, Sample]) -> dict[str, pa.Table]:
    """Each sample of the same blocks, read once."""
    for block in blocks:
        for one in wanted.values():
            one.add(block)
    return {name: one.table() for name, one in wanted.items()}


def blocks_of(artifact: Artifact, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The chosen columns of a snapshot, file by file."""
    for entry in artifact.files:
        yield snapshots.read_file(artifact, entry, columns)
