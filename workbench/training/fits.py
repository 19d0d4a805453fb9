"""What is to be fitted, and what a fit gives: the plan that every framework's loop works off."""

import io
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SCORED = "-scored"  # what the name of a fold's scored rows ends with


@dataclass(frozen=True)
class Rows:
    """Features and labels in one process. Shapes: N rows, F features."""

    x_NF: Floats
    y_N: Floats


@dataclass(frozen=True)
class Fold:
    """Rows to train on; `score`, where it is set, are the rows on which the number of steps is chosen."""

    name: str
    train: pc.Expression
    score: pc.Expression | None = None


@dataclass(frozen=True)
class Fit:
    """One training: on a fold's training rows, with a seed. A fit that selects is also scored as it goes on."""

    fold: str
    seed: int
    selects: bool

    @property
    def name(self) -> str:
        """Its name in checkpoints and histories."""
        return f"{self.fold}-seed{self.seed}"


@dataclass
class Fitted:
    """What one fit gave."""

    steps: list[int] = field(default_factory=list)  # rounds or epochs at which the fit was scored
    average_precision: list[float] = field(default_factory=list)  # on the fold's scored rows, at each of the steps
    train_loss: list[float] = field(default_factory=list)  # mean loss of the training rows, at each of the steps; a
    # network's is of its epoch's batches. Of several workers XGBoost's is over all rows, others' over the first shard
    logits_SN: list[Floats] = field(default_factory=list)  # log-odds of the scored rows, at each of the steps
    model: bytes = b""  # the framework's own file
    onnx: bytes = b""  # the same as a graph, of fits that do not select

    def judge(self, scored: Rows, logits_N: NDArray[Any]) -> None:
        """Add how the rows that a fold is scored on come out."""
        self.average_precision.append(average_precision(scored.y_N, logits_N))
        self.logits_SN.append(logits_N.astype(np.float32))

    def logits_at(self, step: int) -> Floats:
        """Log-odds of the scored rows at a step; a trial of a sweep keeps those of its best step alone."""
        return self.logits_SN[self.steps.index(step) if len(self.logits_SN) == len(self.steps) else -1]

    def to_bytes(self) -> bytes:
        """One file that holds all of it, without code."""
        sink = io.BytesIO()
        numbers = {"steps": self.steps, "average_precision": self.average_precision, "train_loss": self.train_loss}
        scored = np.stack(self.logits_SN) if self.logits_SN else np.zeros((0, 0), np.float32)
        np.savez(
            sink,
            allow_pickle=False,
            numbers=np.frombuffer(json.dumps(numbers).encode(), np.uint8),
            logits=scored,
            model=np.frombuffer(self.model, np.uint8),
            onnx=np.frombuffer(self.onnx, np.uint8),
        )
        return sink.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Fitted":
        """What `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            numbers = json.loads(stored["numbers"].tobytes())
            files = {name: stored[name].tobytes() for name in ("model", "onnx")}
            return cls(**numbers, **files, logits_SN=list(stored["logits"]))


@dataclass(frozen=True)
class Partial:
    """A fit interrupted after `step`: what it gave so far, and the framework's own state to go on from."""

    step: int
    fitted: Fitted
    state: dict[str, bytes]


class Report(Protocol):
    """Called by a loop after every step that is scored; saves a checkpoint now and then."""

    def __call__(self, step: int, fitted: Fitted, state: Any) -> None:
        """`state` is a function that gives the framework's state as named bytes."""


class Loop(Protocol):
    """One framework's plain training loop. All workers of the group call it with their own shard."""

    def __call__(
        self,
        shard: Rows,
        scored: Rows | None,
        steps: int,
        fit: Fit,
        config: Any,
        start: Partial | None,
        report: Report,
        /,
    ) -> Fitted:
        """The fit after `steps` rounds or epochs; `scored` is there on rank 0 of a fit that selects."""


def best_step(fits: list[Fitted]) -> int:
    """The number of rounds or epochs with the highest mean average precision over the selecting fits."""
    mean = np.mean([one.average_precision for one in fits], axis=0)
    return fits[0].steps[int(np.argmax(mean))]


def log_loss(y_N: NDArray[Any], logits_N: NDArray[Any]) -> float:
    """The mean logistic loss."""
    return float(np.mean(np.logaddexp(0, logits_N) - y_N * logits_N))


def average_precision(y_N: NDArray[Any], score_N: NDArray[Any]) -> float:
    """Area under the precision-recall steps; ties count once, as in scikit-learn's `average_precision_score`."""
    order = np.argsort(-score_N, kind="stable")
    hits = np.cumsum(y_N[order], dtype=np.float64)
    last = np.append(np.diff(score_N[order]) != 0, True)
    hits, count = hits[last], np.flatnonzero(last) + 1
    return float((np.diff(hits, prepend=0) * hits / count).sum() / max(hits[-1], 1))
