"""A feature state from history, whole columns at a time: what `online.py` begins with."""

import itertools
from collections.abc import Hashable, Iterator

import numpy as np
import pyarrow as pa

from workbench.features.aggregates import Plan
from workbench.features.definitions import FeatureSet
from workbench.features.history import History
from workbench.features.labels import NEVER_US
from workbench.features.timeline import entity_codes, micros
from workbench.features.vector import Event, whole


def histories(feature_set: FeatureSet, plan: Plan, events: pa.Table) -> dict[Hashable, History]:
    """The histories of all entities in a table: sorted once, then cut where the entity changes."""
    code, time, known = entity_codes(events, plan.entity), *(micros(events[c]) for c in _clocks(feature_set))
    order = np.lexsort((events[feature_set.id].to_numpy(), time, code))
    order = order[code[order] >= 0]
    cuts = np.flatnonzero(np.diff(code[order], prepend=-1, append=-1)).tolist() if len(order) else [0]
    rows = events.take(pa.array(order))
    values = entity_values(rows.take(pa.array(cuts[:-1], pa.int64())), plan.entity)
    times, knowns, ids = time[order].tolist(), known[order].tolist(), rows[feature_set.id].to_pylist()
    sums, listed = [one.many(rows) for one in plan.sums], [one.many(rows) for one in plan.values]
    late = np.append(0, np.cumsum(known[order] > time[order])).tolist()
    return {
        value: History(
            [_running(one[a:b]) for one in sums], [one[a:b] for one in listed],
            times[a:b], ids[a:b], knowns[a:b], [NEVER_US] * (b - a), late[b] - late[a],
        )
        for value, a, b in zip(values, cuts[:-1], cuts[1:], strict=True)
    }  # fmt: skip


def entity_values(events: pa.Table, entity: tuple[str, ...]) -> Iterator[Hashable]:
    """An entity's value of each row, as the state has it."""
    columns = [events[column].to_pylist() for column in entity]
    return map(whole, columns[0] if len(columns) == 1 else zip(*columns, strict=True))


def plain(events: pa.Table) -> Iterator[Event]:
    """The rows with times as whole microseconds."""
    moment = pa.timestamp("us", "UTC")
    clocked = [one.cast(moment).cast(pa.int64()) if pa.types.is_timestamp(one.type) else one for one in events.columns]
    rows = zip(*(one.to_pylist() for one in clocked), strict=True)
    return (dict(zip(events.column_names, row, strict=True)) for row in rows)


def _clocks(feature_set: FeatureSet) -> tuple[str, str]:
    return feature_set.event_time, feature_set.known_time


def _running(values: list[int]) -> list[int]:
    """The sums before each value, and after the last."""
    return [0, *itertools.accumulate(values)]
