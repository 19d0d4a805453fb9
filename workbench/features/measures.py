"""What an event contributes to an aggregate, twice: of one event, and as a column of many. The same values.

`count`: 1 where the event counts, else 0; `sum`, `square`: the value or its square as an exact integer, else 0;
`value`: the value itself (without a column: True), else None.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.features import where as filters
from workbench.features.definitions import Feature
from workbench.features.where import Where


class Measure(NamedTuple):
    """A contribution by its definition. An event counts where it meets the conditions and its column is given."""

    what: str
    column: str | None = None
    where: Where = ()
    nulls_count: bool = False

    @classmethod
    def of(cls, what: str, feature: Feature) -> "Measure":
        """What a feature needs of an event."""
        return cls(what, feature.column, feature.where, feature.nulls_count)

    def one(self, event: Mapping[str, Any]) -> Any:
        """The contribution of one event."""
        counts = not self.where or filters.meets(self.where, event)
        value = True if self.column is None else event.get(self.column)
        if value is None and self.nulls_count:
            value = 0
        if self.what == "value":
            return value if counts else None
        if not counts or value is None:
            return 0
        return 1 if self.what == "count" else value if self.what == "sum" else value * value

    def many(self, events: pa.Table) -> list[Any]:
        """The contribution of each row of a table."""
        counts = filters.mask(self.where, events)
        values = pa.array(np.ones(len(counts), bool)) if self.column is None else events[self.column].combine_chunks()
        if self.nulls_count:
            values = pc.fill_null(values, 0)
        if self.what == "value":
            return pc.if_else(pa.array(counts), values, None).to_pylist()
        counts &= values.is_valid().to_numpy(zero_copy_only=False)
        if self.what == "count":
            return counts.astype(np.int64).tolist()
        numbers = np.where(counts, pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), 0).tolist()
        return numbers if self.what == "sum" else [number * number for number in numbers]
