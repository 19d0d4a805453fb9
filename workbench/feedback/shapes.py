"""The shape of a feature's values as a few bars for a picture; whether they drifted is `drift`'s to say.

Bars of one width from the 0.5th to the 99.5th percentile, so that a long tail does not press everything into one; what
lies beyond is counted in the outermost bars. Numbers that are all whole get bars of whole numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.feedback.drift import values

BARS = 24
Floats = NDArray[np.float64]


def profile(features: pa.Table, names: Sequence[str]) -> dict[str, Any]:
    """Per feature `{"low", "high", "whole", "counts"}`: the bars' ends (null: no value is known) and rows."""
    return {name: _of(values(features, name)) for name in names}


def counted(shapes: Mapping[str, Any], features: pa.Table) -> dict[str, list[int]]:
    """The rows of other values in the same bars."""
    return {name: _counts(values(features, name), one) for name, one in shapes.items()}


def _of(column: Floats) -> dict[str, Any]:
    known = column[np.isfinite(column)]
    if not len(known):
        return {"low": None, "high": None, "whole": False, "counts": []}
    low, high = (float(one) for one in np.percentile(known, [0.5, 99.5], method="inverted_cdf"))
    if low == high:
        low, high = float(known.min()), float(known.max())
    whole = bool(np.all(known == np.rint(known)))
    bars = BARS if high > low else 1
    if whole:
        step = np.ceil((high - low + 1) / BARS)
        bars = int(np.ceil((high - low + 1) / step))
        low, high = low - 0.5, low - 0.5 + bars * float(step)
    shape = {"low": low, "high": high, "whole": whole, "counts": [0] * bars}
    return shape | {"counts": _counts(column, shape)}


def _counts(column: Floats, shape: Mapping[str, Any]) -> list[int]:
    bars = len(shape["counts"])
    if not bars:
        return []
    known = column[~np.isnan(column)]
    place = np.searchsorted(np.linspace(shape["low"], shape["high"], bars + 1)[1:-1], known, side="right")
    return [int(one) for one in np.bincount(place, minlength=bars)]
