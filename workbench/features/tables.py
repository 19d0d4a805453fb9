"""The rows of slow dimensions, looked up for a column of events and for one event: by one rule, with equal bits.

The rule is that of `join.py`. A table is small: every process that computes features holds all of it.
Shapes: N events, M rows of the table.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data import snapshots
from workbench.data.store import Store
from workbench.features.definitions import Feature, FeatureSet
from workbench.features.join import AsOf
from workbench.features.labels import NEVER_US
from workbench.features.lookups import Dimension
from workbench.features.timeline import micros
from workbench.governance import tokens
from workbench.governance.tokens import ToToken

Event = Mapping[str, Any]
Held = tuple[int, int, int, int]  # valid from, known from, position, valid until


@dataclass(frozen=True)
class Table:
    """One dimension with its rows."""

    dimension: Dimension
    rows: pa.Table

    def places(self, events: pa.Table, time: str) -> NDArray[np.int64]:
        """[N] the position of the row that each event finds at its time, -1 where there is none."""
        one = self.dimension
        return AsOf(one.key, time, one.valid_from, one.valid_until, one.known_time).places(events, self.rows)

    def place(self, event: Event, time_us: int) -> int:
        """The same for one event."""
        held = self._by_key.get(tuple(event.get(name) for name in self.dimension.key), [])
        for _, known, position, until in reversed(held[: bisect_right(held, time_us, key=itemgetter(0))]):
            if known <= time_us < until:
                return position
        return -1

    def values(self, feature: Feature) -> NDArray[np.float64]:
        """[M + 1] the feature that each row gives; the last one, which -1 finds, where there is no row."""
        column = self.rows[str(feature.column)].combine_chunks()
        if feature.categories:
            column = pc.index_in(column, value_set=pa.array(feature.categories, pa.string()))
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), feature.empty)
        return np.append(numbers.to_numpy(zero_copy_only=False), feature.empty)

    def row_function(self, feature: Feature, time: str) -> Callable[[Event], float]:
        """The function that gives a lookup of an event."""
        values = self.values(feature).tolist()
        return lambda event: values[self.place(event, event[time])]

    @cached_property
    def _by_key(self) -> dict[tuple[Any, ...], list[Held]]:
        """The rows of each key in the order in which the last one counts."""
        one, found = self.dimension, dict[tuple[Any, ...], list[Held]]()
        since, until = self._micros(one.valid_from), self._micros(one.valid_until)
        known = self._micros(one.known_time) if one.known_time else since
        named = zip(*(self.rows[name].to_pylist() for name in one.key), strict=True)
        for position, key in enumerate(named):
            if None not in key:
                found.setdefault(key, []).append((since[position], known[position], position, until[position]))
        return {key: sorted(held) for key, held in found.items()}

    def _micros(self, column: str | None) -> list[int]:
        if column is None:
            return [NEVER_US] * self.rows.num_rows
        never = pa.scalar(NEVER_US).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        return micros(pc.fill_null(self.rows[column].cast(never.type), never)).tolist()


Tables = Mapping[str, Table]  # by name
NO_TABLES: Tables = MappingProxyType({})


def load(
    store: Store,
    feature_set: FeatureSet,
    keys: Mapping[str, str],
    entities: Iterable[str] = (),
    token: ToToken = lambda _, value: str(value),
) -> dict[str, Table]:
    """The tables that the features look up, by the keys of their snapshots; `entities` are tokens in them."""
    return {one.name: _loaded(store, one, keys[one.name], set(entities), token) for one in feature_set.tables}


def _loaded(store: Store, dimension: Dimension, key: str, entities: set[str], token: ToToken) -> Table:
    rows = snapshots.read(store.get("dimensions", key))
    return Table(dimension, tokens.tokenised(rows, [name for name in dimension.key if name in entities], token))
