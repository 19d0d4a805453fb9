"""Events and what was said of their labels, as feature functions see them; of many, the histories of some entities."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.leakage.table import SEED, Ints

LIMIT = 50_000  # events of a whole history that are enough to show a look ahead


@dataclass(frozen=True)
class History:
    """Events and label rows, and the names of their columns."""

    events: pa.Table
    labels: pa.Table  # id, label, known_time, recorded_at
    id: str
    event_time: str
    known_time: str
    entities: tuple[str, ...] = ()

    def us(self, table: pa.Table, name: str) -> Ints:
        """A column of times as microseconds since 1970."""
        return table[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()

    def sample(self, limit: int = LIMIT, seed: int = SEED) -> "History":
        """The whole history of as many values of the first entity (or rows) as make about `limit` events."""
        count = self.events.num_rows
        if count <= limit:
            return self
        random = np.random.default_rng(seed)
        key = self.entities[0] if self.entities else self.id
        values = pc.unique(self.events[key])
        chosen = values.take(pa.array(random.permutation(len(values))[: max(1, len(values) * limit // count)]))
        events = self.events.filter(pc.is_in(self.events[key], value_set=chosen))
        labels = self.labels.filter(pc.is_in(self.labels[self.id], value_set=events[self.id].combine_chunks()))
        return History(events, labels, self.id, self.event_time, self.known_time, self.entities)
