"""The ways in which the future after a time T is written anew; what had happened and was known at T stays.

After T events are altered, deleted and inserted; events that happened before T but were not known by T are added, and
others at the very instant of T, with larger ids; labels that became known after T are flipped, removed and corrected.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.leakage.history import History
from workbench.leakage.table import Ints, Mask

LATER_US = 1_000_000  # how long after T what is inserted happens, or becomes known
Rewrite = Callable[[History, int, np.random.Generator], tuple[pa.Table, pa.Table]]


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
