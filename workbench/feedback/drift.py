"""Whether today's features and scores still look like the reference's: data drift, one test per feature.

The reference is kept as a profile (bins and counts), never as rows. The population stability index of two windows of n
and m rows, times nm/(n+m), is chi-squared with k-1 degrees of freedom when nothing drifted (Yurdakul, "Statistical
properties of population stability index", 2018); its bare value is not an alarm, for it shrinks as windows grow. A
feature has drifted when the test says so after Benjamini and Hochberg's correction over all tests *and* the index
reaches an effect floor, so that a million rows do not page for nothing.

The tests take rows as independent. Rows of one customer are not, so that large windows find differences that mean
nothing; the floor is what keeps them quiet.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

from workbench.errors import InputError

# n rows in the reference window, m in the current one, k bins
BINS = 10
DISTINCT_VALUES = 20  # a feature with at most so many values gets one bin for each
EXPECTED_ROWS = 5.0  # Cochran's rule: chi-squared needs so many expected rows per bin in either window
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What the two windows of one feature say; p-values are adjusted for all tests of the run."""

    name: str
    psi: float
    p_value: float
    missing_psi: float
    missing_p_value: float
    drifted: bool
    missing_drifted: bool
    edges: list[float]  # k-1 inner edges of the reference's bins
    reference: list[float]  # k shares
    current: list[float]  # k shares
    missing_reference: float
    missing_current: float
    mean_reference: float | None
    mean_current: float | None


def profile(features: pa.Table, names: Sequence[str]) -> dict[str, Any]:
    """The reference profile as plain JSON: per feature its bins, counts, null share, mean, std, min and max.

    `{"rows": n, "features": {name: {"edges", "counts", "nulls", "null_share", "mean", "std", "min", "max"}}}`. A bin
    reaches from above one edge up to and including the next. NaN counts as null. Raises `InputError` for a missing or
    non-numeric column.
    """
    _check_columns(features, names)
    return {"rows": features.num_rows, "features": {name: _profile_one(values(features, name)) for name in names}}


def values(table: pa.Table, name: str) -> Floats:
    """The column as float64 [N], with NaN where it is null."""
    return np.asarray(pc.fill_null(table[name].cast(pa.float64()), math.nan), dtype=np.float64)


def measure(reference: Mapping[str, Any], current: pa.Table, false_alarm_rate: float, floor: float) -> list[Drift]:
    """One `Drift` per feature of the reference profile, in its order; an empty list when `current` has no rows."""
    if current.num_rows == 0:
        return []
    _check_columns(current, list(reference["features"]))
    windows = [_Window.read(n, p, values(current, n)) for n, p in reference["features"].items()]
    tests = [test for window in windows for test in (window.value_test(), window.missing_test())]
    adjusted = stats.false_discovery_control([p_value for _, p_value in tests], method="bh")
    alarms = [bool(p < false_alarm_rate and psi >= floor) for (psi, _), p in zip(tests, adjusted, strict=True)]
    return [
        window.finding(tests[2 * i : 2 * i + 2], adjusted[2 * i : 2 * i + 2], alarms[2 * i : 2 * i + 2])
        for i, window in enumerate(windows)
    ]


def stability_index(reference: Floats, current: Floats) -> float:
    """The population stability index of two count vectors [k]; half a row is added to each so that none is zero."""
    expected, actual = reference + 0.5, current + 0.5
    p, q = expected / expected.sum(), actual / actual.sum()
    return float(np.sum((q - p) * np.log(q / p)))


@dataclass(frozen=True)
class _Window:
    """One feature's counts in both windows."""

    name: str
    profile: Mapping[str, Any]
    counts: Floats  # [k], current
    nulls: int
    mean: float | None

    @classmethod
    def read(cls, name: str, reference: Mapping[str, Any], current: Floats) -> "_Window":
        known = current[~np.isnan(current)]
        counts = _count(known, np.asarray(reference["edges"]))
        return cls(name, reference, counts, len(current) - len(known), _finite_mean(known))

    @property
    def reference(self) -> Floats:
        return np.asarray(self.profile["counts"], dtype=np.float64)

    def value_test(self) -> tuple[float, float]:
        """Index and p-value of the known values, on bins merged until the approximation holds."""
        bins = _merged(self.reference, self.counts)
        n, m = bins.sum(axis=1)
        if bins.shape[1] < 2:
            return 0.0, 1.0
        psi = stability_index(bins[0], bins[1])
        return psi, float(stats.chi2.sf(psi * n * m / (n + m), bins.shape[1] - 1))

    def missing_test(self) -> tuple[float, float]:
        """Index of null against known, and Fisher's exact p-value: nulls are often too rare for chi-squared."""
        pair = np.array([[self.profile["nulls"], self.reference.sum()], [self.nulls, self.counts.sum()]])
        if pair[:, 0].sum() == 0:
            return 0.0, 1.0
        return stability_index(pair[0], pair[1]), float(stats.fisher_exact(pair.astype(np.int64)).pvalue)

    def finding(self, tests: list[tuple[float, float]], adjusted: Floats, alarms: list[bool]) -> Drift:
        return Drift(
            self.name, tests[0][0], float(adjusted[0]), tests[1][0], float(adjusted[1]), alarms[0], alarms[1],
            list(self.profile["edges"]), _shares(self.reference), _shares(self.counts), self.profile["null_share"],
            self.nulls / (self.nulls + self.counts.sum()), self.profile["mean"], self.mean,
        )  # fmt: skip


def _check_columns(table: pa.Table, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(f"The table lacks the columns {', '.join(missing)}, which the reference profile describes.")
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    odd = [n for n in names if not any(is_kind(table.schema.field(n).type) for is_kind in numeric)]
    if odd:
        raise InputError(f"The columns {', '.join(odd)} are not numbers. Encode them before they are profiled.")


def _profile_one(column: Floats) -> dict[str, Any]:
    known = column[~np.isnan(column)]
    finite = known[np.isfinite(known)]
    edges = _edges(known)
    summary = {k: float(getattr(finite, k)()) if len(finite) else None for k in ("mean", "std", "min", "max")}
    nulls = len(column) - len(known)
    share = nulls / len(column) if len(column) else 0.0
    counts = _count(known, edges).astype(int).tolist()
    return {"edges": edges.tolist(), "counts": counts, "nulls": nulls, "null_share": share, **summary}


def _edges(known: Floats) -> Floats:
    """Inner edges [k-1] of bins that never cut a value in two and hold about equally many rows where values allow it.

    Edges lie midway between neighbouring values, so that a value that went through float32 stays in its bin.
    """
    distinct, counts = np.unique(known[np.isfinite(known)], return_counts=True)
    if len(distinct) == 1:  # a constant needs a bin on either side, or nothing could ever differ from it
        margin = 1e-6 * max(1.0, abs(distinct[0]))
        return np.array([distinct[0] - margin, distinct[0] + margin])
    middles = distinct[:-1] + np.diff(distinct) / 2
    if len(distinct) <= DISTINCT_VALUES:
        return middles
    target = counts.sum() / BINS
    return middles[_cuts(counts.tolist(), target)]


def _cuts(counts: list[int], target: float) -> list[int]:
    """Positions after which a bin ends: each takes whole values until it holds `target` rows."""
    cuts, held = [], 0
    for i, count in enumerate(counts[:-1]):
        held += count
        if held >= target or count >= target or counts[i + 1] >= target:
            cuts.append(i)
            held = 0
    return cuts


def _count(known: Floats, edges: Floats) -> Floats:
    bins = np.searchsorted(edges, known, side="left")
    return np.bincount(bins, minlength=len(edges) + 1).astype(np.float64)


def _merged(reference: Floats, current: Floats) -> Floats:
    """Counts [2, k'] with neighbours merged until each bin expects `EXPECTED_ROWS` in the smaller window.

    Expectations come from both windows together: given these totals the test keeps its level.
    """
    total = reference + current
    per_row = min(reference.sum(), current.sum()) / max(total.sum(), 1.0)
    starts, held = [0], 0.0
    for i, rows in enumerate(total[:-1]):
        held += rows * per_row
        if held >= EXPECTED_ROWS and total[i + 1 :].sum() * per_row >= EXPECTED_ROWS:
            starts.append(i + 1)
            held = 0.0
    return np.stack([np.add.reduceat(reference, starts), np.add.reduceat(current, starts)])


def _shares(counts: Floats) -> list[float]:
    return [float(share) for share in counts / max(counts.sum(), 1.0)]


def _finite_mean(known: Floats) -> float | None:
    finite = known[np.isfinite(known)]
    return float(finite.mean()) if len(finite) else None
