"""Rewrite the future, and demand the same past: features of rows at or before a time T must not change by one bit.

For each of several times T the events after T are altered, deleted, multiplied; events that happened before T but were
not known by T are added; an event is put at the very instant of a row, with a larger id; labels that became known after
T are flipped, removed and added. A feature function that sees only what had happened and was known gives equal bits for
every row at or before T. One that does not is named, with a row that changed.

Shapes: N events, R rows at or before T.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.leakage.findings import Finding
from workbench.leakage.functions import FeatureFunction
from workbench.leakage.table import SEED, Floats, Ints, Mask

LIMIT = 50_000  # events of a whole history that are enough to show a look ahead
LATER_US = 1_000_000  # how long after T what is inserted happens, or becomes known
REMEDY = {
    "events": "End its window at the row's time: use events with event time before it (rolling, shifted, not centred).",
    "known": "Use only what was known: event and label rows whose known time is at most the row's time.",
    "ties": "Order the rows of one instant by id, and let a row see the smaller ids only.",
}


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


Rewrite = Callable[[History, int, np.random.Generator], tuple[pa.Table, pa.Table]]


def changed(function: FeatureFunction, history: History, cuts: int, seed: int = SEED) -> list[Finding]:
    """One finding per feature that any rewrite of the future changed, with the first such row as evidence."""
    before = function(history.events, history.labels)
    found: dict[str, Finding] = {}
    random = np.random.default_rng(seed)
    for cut_us in _cuts(history, cuts):
        for words, (rewrite, remedy) in REWRITES.items():
            events, labels = rewrite(history, cut_us, random)
            after = function(events, labels)
            for one in _compared(history, cut_us, before, events, after, words, REMEDY[remedy]):
                found.setdefault(one.column, one)
    return list(found.values())


def _cuts(history: History, cuts: int) -> list[int]:
    """Times of events, spread over the middle of the history."""
    times = np.sort(history.us(history.events, history.event_time))
    shares = np.linspace(0.2, 0.9, cuts)
    return sorted({int(times[int(share * (len(times) - 1))]) for share in shares}) if len(times) else []


def _compared(
    history: History,
    cut_us: int,
    before: dict[str, Floats],
    events: pa.Table,
    after: dict[str, Floats],
    words: str,
    remedy: str,
) -> Iterator[Finding]:
    past = np.flatnonzero(history.us(history.events, history.event_time) <= cut_us)
    ids = history.events[history.id].combine_chunks().take(pa.array(past))
    place = pc.index_in(ids, value_set=events[history.id].combine_chunks()).to_numpy()
    for name, value_N in before.items():
        old, new = np.ascontiguousarray(value_N[past], np.float64), np.ascontiguousarray(after[name][place], np.float64)
        other = np.flatnonzero(old.view(np.int64) != new.view(np.int64))
        if len(other):
            row = int(other[0])
            at = np.datetime64(cut_us, "us").astype("datetime64[s]")
            text = (
                f"{words} {at}: {len(other):,} of {len(past):,} rows up to then changed; row {ids[row]}:"
                f" {old[row]:.10g}, then {new[row]:.10g}"
            )
            yield Finding("future changes the past", name, text, remedy)


def _altered(history: History, cut_us: int, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Every value of later events is another one's, and numbers are larger; ids and times stay."""
    return _shuffled(history, history.us(history.events, history.event_time) > cut_us, random), history.labels


def _shuffled(history: History, rows: Mask, random: np.random.Generator) -> pa.Table:
    events, at = history.events, np.flatnonzero(rows)
    take = np.arange(events.num_rows)
    take[at] = random.permutation(at)
    for index, name in enumerate(events.column_names):
        if name not in (history.id, history.event_time, history.known_time):
            values = events[name].take(pa.array(take))
            if name not in history.entities and pa.types.is_floating(values.type):
                values = pc.add(values, pa.array(np.where(rows, 1000.0, 0.0)).cast(values.type))
            elif name not in history.entities and pa.types.is_integer(values.type):
                values = pc.add(values, pa.array(rows.astype(np.int8)).cast(values.type))
            events = events.set_column(index, name, values)
    return events


def _deleted(history: History, cut_us: int, _: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """There are no later events."""
    keep = history.us(history.events, history.event_time) <= cut_us
    return history.events.filter(pa.array(keep)), history.labels


def _inserted(history: History, cut_us: int, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """As many events again just after T, of the entities of earlier ones."""
    rows = random.integers(0, history.events.num_rows, history.events.num_rows)
    later = np.full(len(rows), cut_us + LATER_US) + random.integers(0, 86_400_000_000, len(rows))
    return _with_copies(history, rows, later, later), history.labels


def _known_late(history: History, cut_us: int, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Events that happened before T and became known after it are added."""
    past = np.flatnonzero(history.us(history.events, history.event_time) <= cut_us)
    rows = random.choice(past, min(len(past), 10_000))
    times = history.us(history.events, history.event_time)[rows]
    return _with_copies(history, rows, times, np.full(len(rows), cut_us + LATER_US)), history.labels


def _tied(history: History, cut_us: int, _: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """At the instant T, the time of a row, its entities have three more events, with larger ids."""
    times = history.us(history.events, history.event_time)
    rows = np.repeat(np.flatnonzero(times == cut_us), 3)
    return _with_copies(history, rows, times[rows], times[rows]), history.labels


def _with_copies(history: History, rows: Ints, time_us: Ints, known_us: Ints) -> pa.Table:
    """The events, and copies of some with new and larger ids, at other times."""
    copies = history.events.take(pa.array(rows))
    for name, values in ((history.event_time, time_us), (history.known_time, known_us)):
        if name in copies.column_names:
            kind = copies.schema.field(name).type
            column = pa.array(values, pa.timestamp("us", "UTC")).cast(kind)
            copies = copies.set_column(copies.column_names.index(name), name, column)
    index = copies.column_names.index(history.id)
    copies = copies.set_column(index, history.id, _new_ids(history.events[history.id], len(rows)))
    return pa.concat_tables([history.events, copies.cast(history.events.schema)])


def _new_ids(ids: pa.ChunkedArray, count: int) -> pa.Array:
    largest = pc.max(ids).as_py()
    if pa.types.is_integer(ids.type):
        return pa.array(range(int(largest) + 1, int(largest) + 1 + count), ids.type)
    return pa.array([f"{largest}~{number:09d}" for number in range(count)], ids.type)


def _flipped(history: History, cut_us: int, _: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Every label that became known after T says the other class."""
    labels = history.labels
    late = pa.array(history.us(labels, "known_time") > cut_us)
    other = pc.subtract(pa.scalar(1, labels["label"].type), labels["label"])
    index = labels.column_names.index("label")
    return history.events, labels.set_column(index, "label", pc.if_else(late, other, labels["label"]))


def _removed(history: History, cut_us: int, _: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """No label became known after T."""
    return history.events, history.labels.filter(pa.array(history.us(history.labels, "known_time") <= cut_us))


def _said_later(history: History, cut_us: int, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Just after T every label is corrected to the other class."""
    events, labels = _flipped(history, -(2**62), random)
    index = labels.column_names.index("known_time")
    times = pa.array(np.full(labels.num_rows, cut_us + LATER_US), pa.timestamp("us", "UTC"))
    said = labels.set_column(index, "known_time", times.cast(labels.schema.field("known_time").type))
    return events, pa.concat_tables([history.labels, said.cast(history.labels.schema)])


REWRITES: dict[str, tuple[Rewrite, str]] = {  # the words of the evidence, and which remedy it needs
    "events deleted after": (_deleted, "events"),
    "events altered after": (_altered, "events"),
    "events inserted after": (_inserted, "events"),
    "events inserted with larger ids at the very instant of": (_tied, "ties"),
    "events inserted that were not known by": (_known_late, "known"),
    "labels flipped that were not known by": (_flipped, "known"),
    "labels removed that were not known by": (_removed, "known"),
    "labels corrected after": (_said_later, "known"),
}
