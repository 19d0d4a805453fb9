"""The one way in which a model is asked, in evaluation, at the endpoint and in monitoring: ONNX Runtime on a graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from workbench.errors import InputError
from workbench.models.ends import INPUT, MEMBERS, OUTPUT, SCORE

Floats = NDArray[np.float32]
ROWS = 16_384  # rows that are scored at once


@dataclass(frozen=True)
class Scores:
    """Shapes: N rows, M members."""

    score_N: Floats  # probability
    logit_N: Floats
    member_logits_NM: Floats


class Scorer:
    """A loaded graph; see `graph.py` for its inputs and outputs."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # one row is no work to share
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.features = int(self._session.get_inputs()[0].shape[1])

    def score(self, features_NF: NDArray[Any]) -> Scores:
        """Scores of any number of rows; raises `InputError` for a wrong width or a number that is none."""
        x_NF = np.asarray(features_NF, np.float32)
        if x_NF.ndim != 2 or x_NF.shape[1] != self.features:
            raise InputError(f"features of shape {x_NF.shape} do not fit a model of {self.features} features.")
        if not np.isfinite(x_NF).all():
            raise InputError("features hold NaN or infinite values; a score of them would mean nothing.")
        parts = [self._run(x_NF[start : start + ROWS]) for start in range(0, max(len(x_NF), 1), ROWS)]
        return Scores(*(np.concatenate(one) for one in zip(*parts, strict=True)))

    def one(self, features_F: list[float]) -> tuple[float, list[float]]:
        """Score and members' log-odds of one row: the endpoint's path."""
        score, members = self._session.run([SCORE, MEMBERS], {INPUT: np.array([features_F], np.float32)})
        return float(score[0]), members[0].tolist()

    def many(self, features_NF: list[list[float]]) -> list[tuple[float, list[float]]]:
        """What `one` gives, of some rows in one run. The last bit may differ: kernels depend on the number of rows."""
        if not features_NF:
            return []
        score_N, _, members_NM = self._run(np.array(features_NF, np.float32))
        return list(zip(score_N.tolist(), members_NM.tolist(), strict=True))

    def _run(self, x_NF: Floats) -> list[Floats]:
        return list(self._session.run([SCORE, OUTPUT, MEMBERS], {INPUT: x_NF}))
