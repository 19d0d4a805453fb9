"""Which rows of a shard make which batch, the same again for the same seed; and what all network loops share."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import EnvironmentFault
from workbench.training.fits import Fit, Fitted, Floats, Rows

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

    def epoch(self, seed: Seed) -> Iterator[NDArray[np.int64]]:
        """The row numbers of each batch. Every row comes at least once; the last batch is filled up from the first."""
        order = np.random.default_rng(seed.number(10_000)).permutation(self.rows)
        places = np.arange(self.steps * self.size) % self.rows
        yield from order[places].reshape(self.steps, self.size)


def parts(*arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """The rows of some arrays in parts that fit into a processor's cache and memory."""
    for start in range(0, len(arrays[0]), PART):
        yield tuple(one[start : start + PART] for one in arrays)


def check(loss: float, fit: Fit, epoch: int) -> None:
    """Stop when the loss is no number: what follows could only be noise."""
    if not math.isfinite(loss):
        raise EnvironmentFault(
            f"The loss of {fit.name} is {loss} in epoch {epoch}. Lower the learning rate, or look for extreme values in"
            " the features. The last checkpoint is kept."
        )


def record(fitted: Fitted, epoch: int, loss: float, scored: Rows, logits_N: Floats) -> None:
    """Add what an epoch gave."""
    fitted.steps.append(epoch)
    fitted.train_loss.append(loss)
    fitted.judge(scored, logits_N)
