"""The last step from a mixture's log-odds to its score: a rising, piecewise-linear map of log-odds, as plain numbers.

Both kinds are one form. Platt's is a single line. The isotonic one joins the observed log-odds of its steps at their
middles and goes on with Platt's slope beyond the outermost, so that no two rows trade places and none become equal.
Shapes: N rows, K knots, S = K + 1 pieces.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
FAR = float(np.finfo(np.float32).max)  # the end of a piece that has none


@dataclass(frozen=True)
class Calibration:
    """`value` at each `knot`, straight between them, and `slope` before the first and after the last."""

    method: str
    knot: list[float]
    value: list[float]
    slope: float

    def logit(self, logit_N: Array) -> Array:
        """The calibrated log-odds, in double precision."""
        x_N = np.asarray(logit_N, np.float64)
        outside_N = x_N - np.clip(x_N, self.knot[0], self.knot[-1])
        return np.interp(x_N, self.knot, self.value) + self.slope * outside_N

    def probability(self, logit_N: Array) -> Array:
        """The score."""
        return np.exp(-np.logaddexp(0, -self.logit(logit_N)))

    def to_json(self) -> dict[str, Any]:
        """What a manifest and a card hold."""
        return asdict(self)


def of_json(told: dict[str, Any] | None) -> Calibration | None:
    """What `to_json` gave; none stays none."""
    return None if told is None else Calibration(**told)


def probability(calibration: Calibration | None, logit_N: Array) -> Array:
    """The score of a mixture's log-odds, calibrated or not."""
    x_N = np.asarray(logit_N, np.float64)
    return np.exp(-np.logaddexp(0, -x_N)) if calibration is None else calibration.probability(x_N)


def nodes(calibration: Calibration, source: str, target: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """ONNX operators and constants from log-odds `source` [N] to calibrated ones `target` [N].

    The way from the first knot is the sum of what is walked of every piece. Each part rises with the log-odds, and a
    rounded sum of rising parts rises too: single precision cannot turn two rows round.
    """
    low_S, high_S, start_S, slope_S = _pieces(calibration)
    constants = {"low": low_S, "high": high_S, "start": start_S, "slope": slope_S, "first": [calibration.value[0]]}
    tensors = [numpy_helper.from_array(np.asarray(v, np.float32), f"calibration/{k}") for k, v in constants.items()]
    tensors.append(numpy_helper.from_array(np.array([1], np.int64), "calibration/axis"))
    steps = (
        ("Unsqueeze", [source, "calibration/axis"], "calibration/column"),
        ("Max", ["calibration/column", "calibration/low"], "calibration/raised"),
        ("Min", ["calibration/raised", "calibration/high"], "calibration/kept"),
        ("Sub", ["calibration/kept", "calibration/start"], "calibration/walked"),
        ("MatMul", ["calibration/walked", "calibration/slope"], "calibration/risen"),
        ("Add", ["calibration/risen", "calibration/first"], target),
    )
    return [helper.make_node(kind, given, [out], name=f"{out}/node") for kind, given, out in steps], tensors


def _pieces(calibration: Calibration) -> tuple[Array, Array, Array, Array]:
    """[S] where each piece begins and ends, from where its way is counted, and how steep it is."""
    knot_K = np.asarray(calibration.knot, np.float32).astype(np.float64)
    between = np.diff(calibration.value) / np.diff(knot_K)
    low, high = np.append(-FAR, knot_K), np.append(knot_K, FAR)
    start = np.append(knot_K[0], knot_K)
    return low, high, start, np.concatenate([[calibration.slope], between, [calibration.slope]])
