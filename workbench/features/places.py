"""Where an entity's instant falls among rows that are in the order of entity and time: one number says both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """N sorted rows. Entities are small numbers from 0 (-1: none), times any whole numbers."""

    key: Ints  # [N] entity and time as one ascending number
    span: int  # distance of two entities in `key`
    first: int  # the least time
    instants: Ints | None  # the distinct times, where only their ranks leave room for so many entities in 64 bits

    @classmethod
    def of(cls, entity: Ints, time: Ints) -> "Places":
        """The places of rows in the order of (entity, time)."""
        first, span, instants = (int(time.min()), int(np.ptp(time)) + 2, None) if len(time) else (0, 2, None)
        if (int(entity.max(initial=0)) + 1) * span >= 2**63:
            instants = np.unique(time)
            span = len(instants) + 1
        empty = cls(time[:0], span, first, instants)
        return cls(entity * span + empty._axis(time), span, first, instants)

    def first_at(self, entity: Ints, time: Ints) -> Ints:
        """For each pair the first row of the entity at or after this time (the next entity's first row if none is)."""
        return np.searchsorted(self.key, entity * self.span + self._axis(time))

    def _axis(self, time: Ints) -> Ints:
        """Times as numbers from 0 to `span` - 1, which none of the rows has."""
        if self.instants is not None:
            return np.searchsorted(self.instants, time)
        return np.clip(time - self.first, 0, self.span - 1)
