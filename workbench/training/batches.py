"""Which rows of a shard make which batch, the same again for the same seed; and what all network loops share."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Diverged
from workbench.training.fits import Fit, Fitted, Floats, Rows
from workbench.training.rendezvous import agreed

PART = 16_384  # rows that are scored at once


@dataclass(frozen=True)
class Seed:
    """The randomness and the learning rate of one epoch out of `epochs`."""

    fit: int
    epoch: int
    epochs: int

    def number(self, stream: int) -> int:
        """A seed for one stream of this epoch."""
        return int(np.random.SeedSequence([self.fit, self.epoch, stream]).generate_state(1)[0])

    def cosine(self, step: int, steps: int) -> float:
        """The share of the full learning rate at a step: half a cosine from 1 to 0 over all epochs."""
        return 0.5 * (1 + math.cos(math.pi * (self.epoch - 1 + step / steps) / self.epochs))


class Plan:
    """The batches of one worker. Every worker makes the same number of steps, since gradients wait for each other."""

    def __init__(self, shard: Rows, rows_of_all: tuple[int, int], batch_size: int) -> None:
        total, workers = rows_of_all
        self.size = max(1, batch_size // workers)
        self.steps = math.ceil(math.ceil(total / workers) / self.size)
        self.rows = len(shard.y_N)

    def epoch(self, seed: Seed) -> NDArray[np.int64]:
        """The row numbers [steps, size] of the batches. Every row comes once, and some again to fill the last batch."""
        order = np.random.default_rng(seed.number(10_000)).permutation(self.rows)
        places = np.arange(self.steps * self.size) % self.rows
        return order[places].reshape(self.steps, self.size)


def parts(*arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """The rows of some arrays in parts that fit into a processor's cache and memory."""
    for start in range(0, len(arrays[0]), PART):
        yield tuple(one[start : start + PART] for one in arrays)


class Losses:
    """The losses of the steps of one epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def add(self, *losses: float) -> None:
        """Those of the next steps."""
        self.values += losses

    @property
    def fault(self) -> str | None:
        """At which step the loss was no number first."""
        for step, loss in enumerate(self.values, start=1):
            if not math.isfinite(loss):
                return f"The loss is {loss} at step {step} of {len(self.values)}"
        return None


def check(losses: Losses, weights: Iterable[NDArray[Any]], fit: Fit, epoch: int) -> float:
    """The mean loss of an epoch; raises `Diverged` on every worker when it, or a weight, is no number.

    What follows could only be noise, and a checkpoint of it would be no good. The first worker says so for all: the
    others' losses are in the weights, which are the same everywhere, and nobody may wait for one who has left.
    """
    fault = losses.fault
    if fault is None and not all(np.isfinite(one).all() for one in weights):
        fault = f"A weight is no number after step {len(losses.values)}"
    if fault := agreed(fault):
        raise Diverged(
            f"{fault} in epoch {epoch} of {fit.name}. Lower the learning rate, or look for extreme values in the"
            " features. The last good checkpoint is kept."
        )
    return math.fsum(losses.values) / len(losses.values)


def record(fitted: Fitted, epoch: int, loss: float, scored: Rows, logits_N: Floats) -> None:
    """Add what an epoch gave."""
    fitted.steps.append(epoch)
    fitted.train_loss.append(loss)
    fitted.judge(scored, logits_N)
