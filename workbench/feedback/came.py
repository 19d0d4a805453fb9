"""What a feature state had been given of a prediction log when it was asked.

A state that begins reads the whole log, of whatever history, version and replay the rows are, and the numbers of its
own events go on from there. But one that begins with another history holds some of those events as history and numbers
from 1 again. So a number says what had arrived among rows that began with one history; of the others a state has what
was there when it began, which their times tell: the endpoints of an application follow each other.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.feedback import prediction_log


@dataclass(frozen=True)
class Came:
    """All events of a log, each by its first answer, as states that began with one history were given them."""

    events: pa.Table  # with `foreign`: whether it was asked of a state with another history
    flips: NDArray[np.int64]  # when states with that history and with others took turns, ascending (us)

    @classmethod
    def of(cls, rows: pa.Table, history: str) -> "Came":
        """From the rows of the log."""
        rows = rows.sort_by("received_at")
        foreign = pc.fill_null(pc.not_equal(rows["history"], history), True)
        changes = np.flatnonzero(np.diff(foreign.to_numpy().astype(np.int8))) + 1
        rows = rows.append_column("foreign", foreign)
        return cls(prediction_log.first_answers(rows), _received(rows)[changes])

    def spell_of(self, rows: pa.Table) -> NDArray[np.int64]:
        """[N] how often states with other histories had taken turns when each row was asked."""
        return np.searchsorted(self.flips, _received(rows), side="right")

    def until(self, spell: int) -> pa.Table:
        """The events that a state of that spell may have been given: all of its history, of others what was there."""
        there = self.spell_of(self.events) < spell
        own = pc.invert(self.events["foreign"]).to_numpy()
        return self.events.filter(pa.array(own | there))


def _received(rows: pa.Table) -> NDArray[np.int64]:
    return rows["received_at"].cast(pa.int64()).to_numpy()
