"""A fold's rows with a part of its negatives left out: frauds are rare, and most of what is good looks alike."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from workbench.training.gather import Gathered


def thinned(fold: Gathered, share: float) -> Gathered:
    """The fold with all positives and about `share` of its negatives, the same ones each time.

    Which ones goes by their place in the whole order, so that neither files nor parts change it.
    """
    if share == 1:
        return fold
    thin = ray.remote(_thinned).options(num_returns=2)
    counts = ray.get([ray.remote(_count).remote(part) for part in fold.parts])
    before = np.cumsum([0, *counts[:-1]]).tolist()
    made = [thin.remote(part, share, first) for part, first in zip(fold.parts, before, strict=True)]
    rows, negatives = np.sum(ray.get([count for _, count in made]), axis=0).tolist()
    classes = fold.classes if negatives else min(fold.classes, 1)
    return Gathered([part for part, _ in made], rows, classes, fold.columns)


def _count(part: pa.Table) -> int:
    return int(part.num_rows)


def _thinned(part: pa.Table, share: float, first: int) -> tuple[pa.Table, tuple[int, int]]:
    """The rows that stay, how many they are, and how many of them are negatives."""
    drawn_N = np.random.Generator(np.random.PCG64(0).advance(first)).random(part.num_rows)
    positive_N = pc.equal(part["label"], 1)
    kept: Any = pc.or_(positive_N, pa.array(drawn_N < share))
    table = part.filter(kept)
    return table, (table.num_rows, table.num_rows - int(pc.sum(positive_N).as_py() or 0))
