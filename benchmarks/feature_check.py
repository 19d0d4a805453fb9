"""Whether two outputs in Parquet hold the same features of the same rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

TOLERANCE = 1e-9  # relative: ours divide exact integers once, others may add floats


def disagreements(
    ours: str, theirs: str, id_column: str, counts: list[str], means: list[str]
) -> tuple[list[str], float]:
    """What differs, a line per feature, and the greatest relative difference of the means."""
    ids = [_column(one, id_column) for one in (ours, theirs)]
    orders = [np.argsort(one, kind="stable") for one in ids]
    if not np.array_equal(ids[0][orders[0]], ids[1][orders[1]]):
        return [f"{id_column}: {len(ids[0]):,} rows here, {len(ids[1]):,} there, or others"], np.inf
    faults, worst = [], 0.0
    for name in [*counts, *means]:
        mine, other = (_column(one, name)[order] for one, order in zip((ours, theirs), orders, strict=True))
        apart = np.abs(mine - other) / np.maximum(np.abs(mine), 1.0 if name in counts else np.finfo(float).tiny)
        wrong = ~(apart <= (0 if name in counts else TOLERANCE)) & (mine != other)
        worst = max(worst, float(apart.max(where=mine != other, initial=0.0)))
        if wrong.any():
            row = int(np.argmax(wrong))
            faults.append(f"{name}: {int(wrong.sum()):,} rows differ, the first {mine[row]} here, {other[row]} there")
    return faults, worst


def read(output: str, columns: list[str] | None = None) -> pa.Table:
    """A file, or all of a folder's."""
    files = sorted(Path(output).rglob("*.parquet")) if Path(output).is_dir() else [Path(output)]
    return pa.concat_tables(pq.ParquetFile(file).read(columns) for file in files)


def _column(output: str, name: str) -> NDArray[Any]:
    return read(output, [name])[name].to_numpy()
