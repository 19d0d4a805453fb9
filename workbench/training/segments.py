"""The history of a family's run as its attempts wrote it: one segment per start of the workers, and all as one.

A segment has a row per step that was really worked on, written when the step ends and before its checkpoint. A step
in two segments was trained twice; the run's own history holds the later one.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from workbench.data.parquet import read_bytes, write_bytes

SCHEMA = pa.schema(
    {
        "fit": pa.string(),
        "step": pa.int64(),
        "average_precision": pa.float64(),
        "train_loss": pa.float64(),
        "ended": pa.timestamp("us", "UTC"),
        "host": pa.string(),
        "process": pa.int64(),
    }
)


@dataclass
class Segment:
    """What one attempt does, kept in a file of the store from the first step on."""

    filesystem: fs.FileSystem
    folder: str
    attempt: int
    rows: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    def begin(cls, filesystem: fs.FileSystem, folder: str) -> "Segment":
        """The segment after those that are there."""
        return cls(filesystem, folder, len(listed(filesystem, folder)) + 1)

    def add(self, fit: str, step: int, metrics: Mapping[str, float]) -> None:
        """One more step that was worked on."""
        where = {"host": os.uname().nodename, "process": os.getpid()}
        self.rows.append({"fit": fit, "step": step, **metrics, "ended": round(time.time() * 1e6), **where})
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(self.rows, SCHEMA), sink)
        write_bytes(self.filesystem, f"{self.folder}/{self.attempt:04}.parquet", sink.getvalue())


def listed(filesystem: fs.FileSystem, folder: str) -> list[str]:
    """The paths of the segments in a folder, the oldest first."""
    found = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return sorted(one.path for one in found if one.base_name.endswith(".parquet") and one.base_name[0] != ".")


def read(filesystem: fs.FileSystem, folder: str) -> dict[int, pa.Table]:
    """Every segment by the number of its attempt."""
    tables = {path: pq.read_table(pa.BufferReader(read_bytes(filesystem, path))) for path in listed(filesystem, folder)}
    return {int(path.rpartition("/")[2].partition(".")[0]): table for path, table in tables.items()}


def repeated(segments: Mapping[int, pa.Table]) -> list[tuple[str, int]]:
    """The steps that more than one attempt worked on."""
    seen = [
        key
        for table in segments.values()
        for key in zip(*table.select(["fit", "step"]).to_pydict().values(), strict=True)
    ]
    return sorted({key for key in seen if seen.count(key) > 1})
