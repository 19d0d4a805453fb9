"""Ours and the twin under the same load, so many requests a second, due evenly whatever the server does."""

import statistics
from collections.abc import Callable

import numpy as np

from benchmarks.load import Floats
from benchmarks.serving_fresh import REFUSED_MS, Fresh
from benchmarks.table import Row
from workloads.endpoint.live import Live

SLICE, SLICES, WINDOWS = 2.5, 2, 4  # the first of a round's length: several moves of our journal fall into each


def compared(endpoint: Live, sides: dict[str, Fresh], rate: float, seconds: float) -> list[Row]:
    """The latencies of ours and of the twin when as many requests a second are due at each, slice by slice in turn.

    Before each slice what ours has in its journal is moved, so that none of its moves falls into the twin's. As of all
    that is measured in rounds, p99 is the median, of the parts of slices; beside it stand those of all requests.
    """
    slices: dict[str, list[Floats]] = {"ours": [], "twin": []}
    for turn in range(SLICES):
        for name in sorted(slices, reverse=turn % 2 == 1):
            endpoint.drained()
            slices[name] += np.array_split(sides[name].due(rate, SLICE * seconds), WINDOWS)
    figures: list[tuple[str, str, Callable[[list[Floats]], float]]] = [
        ("p50", "ms", lambda seen: float(np.percentile(np.concatenate(seen), 50))),
        ("p99", "ms", lambda seen: statistics.median(float(np.percentile(one, 99)) for one in seen)),
        ("p99 of all", "ms", lambda seen: float(np.percentile(np.concatenate(seen), 99))),
        ("p99.9 of all", "ms", lambda seen: float(np.percentile(np.concatenate(seen), 99.9))),
        ("answered with 200", "of the requests", lambda seen: float(np.mean(np.concatenate(seen) < REFUSED_MS))),
    ]
    return [
        Row(f"{name}, {rate:.0f} requests/s each", figure(slices["ours"]), figure(slices["twin"]), unit)
        for name, unit, figure in figures
    ]
