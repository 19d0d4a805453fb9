"""Features by brute force, every row against every version of its entity, but all pairs at once: for a million rows.

Written from the rules in `conf/features/README.md` like `oracle.py`, with which it is compared on small cases, and like
it without intervals, running sums or any other idea of the kernel's. Where entities are small the pairs are few.

Shapes: M versions, R rows that ask, P pairs (row, version).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.code.features.oracle import micros
from workbench.features.definitions import Feature, FeatureSet

Array = np.ndarray
NEVER = 2**62
ROWS_AT_ONCE = 50_000
ORDER = {">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal, "in": np.isin}


@dataclass
class Column:
    """Values [M], 0 or an empty text where there is none; whether there is one; a number for each different one."""

    values: Array
    valid: Array
    code: Array

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Column":
        text = pa.types.is_string(column.type)
        filled = pc.fill_null(column, "" if text else 0).combine_chunks()
        values = filled.to_numpy(zero_copy_only=False).astype(str) if text else filled.to_numpy() + 0  # no -0.0
        code = pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(values, column.is_valid().to_numpy(), code)


class Facts:
    """All versions, who asks, and the labels, as arrays."""

    def __init__(self, events: pa.Table, labels: pa.Table) -> None:
        self.id, self.time, self.known = events["id"].to_numpy(), micros(events["time"]), micros(events["known_time"])
        gone = events["gone"].to_numpy(zero_copy_only=False)
        order = np.lexsort((np.arange(len(gone)), self.known, self.id))
        same = self.id[order][1:] == self.id[order][:-1]
        self.replaced, first = np.full(len(gone), NEVER), np.ones(len(gone), bool)
        self.replaced[order[:-1][same]] = self.known[order[1:][same]]
        first[order[1:][same]] = False
        self.alive, self.rows = ~gone, np.flatnonzero(first & ~gone)
        others = [name for name in events.column_names if name not in ("id", "time", "known_time", "gone")]
        self.columns = {name: Column.of(events[name]) for name in others}
        said = labels.take(pc.sort_indices(labels, [(n, "ascending") for n in ("id", "known_time", "recorded_at")]))
        self.said_key = said["id"].to_numpy() * 2**42 + micros(said["known_time"])
        self.said_id, self.said = said["id"].to_numpy(), said["label"].to_numpy()

    def positive(self, fact: Array, at: Array) -> Array:
        """[P] whether the newest label of an event that is known at a time calls it positive."""
        newest = np.searchsorted(self.said_key, self.id[fact] * 2**42 + at, "right") - 1
        return (newest >= 0) & (self.said_id[newest] == self.id[fact]) & (self.said[newest] == 1)

    def entity(self, names: tuple[str, ...]) -> Array:
        """[M] a number for each entity, -1 where one of its columns is null."""
        code, null = np.zeros(len(self.id), np.int64), np.zeros(len(self.id), bool)
        for name in names:
            one = self.columns[name].code
            _, code = np.unique(code * (one.max() + 1) + one, return_inverse=True)
            null |= ~self.columns[name].valid
        return np.where(null, -1, code)


@dataclass
class Window:
    """The pairs of some rows that are in a window: `row` numbers the rows from 0, `fact` is the version."""

    facts: Facts
    row: Array
    fact: Array
    other: Array  # whether the version is not the row's own
    own: Array  # [R] the rows' own versions

    def met(self, feature: Feature) -> Array:
        found = np.ones(len(self.row), bool)
        for one in feature.where:
            column = self.facts.columns[one.column]
            value = list(one.value) if one.operator == "in" else one.value
            found &= column.valid[self.fact] & ORDER[one.operator](column.values[self.fact], value)
        return found

    def gathered(self, chosen: Array, value: Array, how: Any, start: Any) -> Array:
        found = np.full(len(self.own), start, np.asarray(value).dtype)
        how.at(found, self.row[chosen], value[chosen])
        return found

    def count(self, chosen: Array) -> Array:
        return np.bincount(self.row[chosen], minlength=len(self.own))

    def feature(self, feature: Feature) -> Array:
        met = self.met(feature)
        if feature.column is None:
            return KINDS[feature.kind](self, feature, met)
        column = self.facts.columns[feature.column]
        counts = met if feature.nulls_count else met & column.valid[self.fact]
        return VALUED[feature.kind](self, feature, counts, column.code if feature.kind == "distinct" else column.values)


def compute(features: FeatureSet, events: pa.Table, labels: pa.Table) -> tuple[Array, dict[str, Array]]:
    """Ids of the rows that ask, and every feature of them. `events` has a column `gone`."""
    facts = Facts(events, labels)
    found = {one.name: np.full(len(facts.rows), one.empty) for one in features.features}
    for entity in features.entities:
        code = facts.entity(entity)
        listed = np.flatnonzero(facts.alive & (code >= 0))
        listed = listed[np.argsort(code[listed], kind="stable")]
        asking = np.flatnonzero(code[facts.rows] >= 0)
        for start in range(0, len(asking), ROWS_AT_ONCE):
            place = asking[start : start + ROWS_AT_ONCE]
            for one, window in _windows(facts, features.of_entity(entity), code, listed, facts.rows[place]):
                found[one.name][place] = window.feature(one)
    return facts.id[facts.rows], found


def begun(events: pa.Table) -> pa.Table:
    """The versions without the deletions that come before all else that is said of an id."""
    order = micros(events["known_time"]) * 2**20 + np.arange(len(events))
    gone, ids = events["gone"].to_numpy(zero_copy_only=False), events["id"].to_numpy()
    first = np.full(ids.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, ids[~gone], order[~gone])
    return events.filter(pa.array(~gone | (order > first[ids])))


def _windows(
    facts: Facts, features: tuple[Feature, ...], code: Array, listed: Array, own: Array
) -> Iterator[tuple[Feature, Window]]:
    low, high = (np.searchsorted(code[listed], code[own], side) for side in ("left", "right"))
    row = np.repeat(np.arange(len(own)), high - low)
    fact = listed[low[row] + np.arange(len(row)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)]
    at = facts.time[own][row]
    seen = (facts.known[fact] <= at) & (at < facts.replaced[fact]) & (facts.id[fact] != facts.id[own][row])
    row, fact = row[seen], fact[seen]
    made: dict[Any, Window] = {}
    for one in features:
        key = one.window_us, one.delay_us, one.current_row
        if key not in made:
            made[key] = _window(facts, row, fact, own, one)
        yield one, made[key]


def _window(facts: Facts, row: Array, fact: Array, own: Array, feature: Feature) -> Window:
    at, time = facts.time[own][row], facts.time[fact]
    newest = at - feature.delay_us
    inside = (newest - feature.window_us < time) & (time <= newest)
    if not feature.delay_us:
        inside &= (time < at) | (facts.id[fact] < facts.id[own][row])
    row, fact = row[inside], fact[inside]
    other = np.ones(len(row), bool)
    if feature.current_row:
        row, fact = np.append(row, np.arange(len(own))), np.append(fact, own)
        other = np.append(other, np.zeros(len(own), bool))
    return Window(facts, row, fact, other, own)


def _divided(above: Array, below: Array, empty: float) -> Array:
    return np.where(below == 0, empty, above.astype(float) / np.where(below == 0, 1, below).astype(float))


def _sum(window: Window, _: Feature, chosen: Array, values: Array) -> Array:
    return window.gathered(chosen, values[window.fact], np.add, 0)


def _mean(window: Window, feature: Feature, chosen: Array, values: Array) -> Array:
    return _divided(_sum(window, feature, chosen, values), window.count(chosen), feature.empty)


def _std(window: Window, feature: Feature, chosen: Array, values: Array) -> Array:
    n, sums = window.count(chosen), _sum(window, feature, chosen, values)
    squares = _sum(window, feature, chosen, values * values)
    return np.where(n < 2, feature.empty, np.sqrt(_divided(n * squares - sums * sums, n * (n - 1), 0.0)))


def _extreme(how: Any, start: float) -> Callable[..., Array]:
    def found(window: Window, feature: Feature, chosen: Array, values: Array) -> Array:
        best = window.gathered(chosen, values[window.fact].astype(float), how, start)
        return np.where(window.count(chosen) == 0, feature.empty, best)

    return found


def _distinct(window: Window, _: Feature, chosen: Array, code: Array) -> Array:
    both = np.unique(window.row[chosen] * (code.max() + 1) + code[window.fact[chosen]])
    return np.bincount(both // (code.max() + 1), minlength=len(window.own))


def _ratio(window: Window, feature: Feature, chosen: Array, values: Array) -> Array:
    found = _divided(values[window.own] * window.count(chosen), _sum(window, feature, chosen, values), feature.empty)
    given = window.facts.columns[str(feature.column)].valid[window.own]
    return np.where(given | feature.nulls_count, found, feature.empty)


def _since(window: Window, feature: Feature, met: Array) -> Array:
    newest = window.gathered(met & window.other, window.facts.time[window.fact], np.maximum, -NEVER)
    return np.where(newest == -NEVER, feature.empty, (window.facts.time[window.own] - newest) / 1e6)


def _age(window: Window, feature: Feature, met: Array) -> Array:
    oldest = window.gathered(met, window.facts.time[window.fact], np.minimum, NEVER)
    return np.where(oldest == NEVER, feature.empty, (window.facts.time[window.own] - oldest) / 1e6)


def _newest(window: Window, feature: Feature, met: Array) -> Array:
    times = window.facts.time[window.fact]
    newest, positive = (
        window.gathered(chosen & window.other, times, np.maximum, -NEVER) for chosen in (met, _positive(window, met))
    )
    return np.where(newest == -NEVER, feature.empty, (newest == positive).astype(float))


def _positives(window: Window, met: Array) -> Array:
    return window.count(_positive(window, met))


def _positive(window: Window, met: Array) -> Array:
    return met & window.other & window.facts.positive(window.fact, window.facts.time[window.own][window.row])


def _peak(window: Window, feature: Feature, chosen: Array, values: Array) -> Array:
    most = window.gathered(chosen, values[window.fact], np.maximum, -NEVER)
    n = window.count(chosen)
    return _divided(np.where(n == 0, 0, most) * n, _sum(window, feature, chosen, values), feature.empty)


VALUED: dict[str, Callable[..., Array]] = {
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _extreme(np.minimum, np.inf),
    "max": _extreme(np.maximum, -np.inf),
    "peak": _peak,
    "distinct": _distinct,
    "ratio": _ratio,
}
KINDS: dict[str, Callable[..., Array]] = {
    "count": lambda window, _, met: window.count(met),
    "share": lambda window, f, met: _divided(window.count(met), window.count(np.ones(len(met), bool)), f.empty),
    "since_last": _since,
    "age": _age,
    "known_positive_count": lambda window, _, met: _positives(window, met),
    "known_positive_rate": lambda window, f, met: _divided(_positives(window, met), window.count(met), f.empty),
    "since_known_positive": lambda window, f, met: _since(window, f, _positive(window, met)),
    "age_known_positive": lambda window, f, met: _age(window, f, _positive(window, met)),
    "newest_known_positive": _newest,
}
