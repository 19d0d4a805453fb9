"""Offline features as of what had arrived when each row was asked, for streams in which events overtake each other.

A row sees a fact by its times (`timeline.py`). Live, the fact must also have arrived: a state numbers its events in the
order in which it takes them in, and a row is asked as of a number. Rows that were asked before something of their past
arrived are found for all at once, and computed again without it; as a rule they are few. Shapes: N rows, with history.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import Tables
from workbench.features.timeline import entity_codes, micros

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ARRIVAL, AS_OF = "arrival", "as_of"  # columns: the number of a row's event (0: history), and of the newest it could see


def entity_features(
    feature_set: FeatureSet, entity: tuple[str, ...], events: pa.Table, positives: PositiveIntervals
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """`offline.entity_features` of events with their numbers, and [N] which rows have others for their order."""
    found = offline.entity_features(feature_set, entity, events, positives)
    code, arrival = entity_codes(events, entity), events[ARRIVAL].to_numpy()
    differ = np.zeros(events.num_rows, bool)
    for rows in _rounds(code, _overtaken(feature_set, entity, events, code)):
        limit = np.full(int(code.max()) + 1, -1)
        limit[code[rows]] = events[AS_OF].to_numpy()[rows]
        chosen = (code >= 0) & (arrival <= limit[code])
        again = offline.entity_features(feature_set, entity, events.filter(pa.array(chosen)), positives)
        for name, values in again.items():
            then = values[np.cumsum(chosen)[rows] - 1]
            differ[rows] |= found[name][rows] != then
            found[name][rows] = then
    return found, differ


def sequence_features(
    feature_set: FeatureSet, events: pa.Table, positives: PositiveIntervals, tables: Tables
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """`sequences.features` of events with their numbers, and [N] which rows have others for their order.

    An earlier event is shown as what had arrived when the *row* was asked has it, so that all that its entities did may
    matter. Rows that were asked before some of that arrived are computed one by one, each of what it could see.
    """
    differ, sequence = np.zeros(events.num_rows, bool), feature_set.sequence
    if sequence is None:
        return {}, differ
    whole = offline.features_of(feature_set, events, positives, tables)
    found = {one.name: whole[one.name] for one in sequence.features}
    arrival, as_of = (events[name].to_numpy() for name in (ARRIVAL, AS_OF))
    codes = {entity: entity_codes(events, entity) for entity in feature_set.entities}
    newest = np.max([_newest(feature_set, events, code, arrival) for code in codes.values()], axis=0)
    code = codes[sequence.entity]
    for row in np.flatnonzero(
        (as_of > 0) & (code >= 0) & (_newest(feature_set, events, code, newest) > as_of)
    ).tolist():
        mine, near = code == code[row], np.zeros(events.num_rows, bool)
        for other in codes.values():
            near |= (other >= 0) & np.isin(other, other[mine])
        chosen = near & (arrival <= as_of[row])
        again = offline.features_of(feature_set, events.filter(pa.array(chosen)), positives, tables)
        for name, values in found.items():
            then = again[name][np.count_nonzero(chosen[:row])]
            differ[row] |= values[row] != then
            values[row] = then
    return found, differ


def _newest(feature_set: FeatureSet, events: pa.Table, code: Ints, number: Ints) -> Ints:
    """[N] the greatest number among the events of each row's entity up to the row itself; its own without an entity."""
    order = np.lexsort((events[feature_set.id].to_numpy(), micros(events[feature_set.event_time]), code))
    result, apart = number.copy(), (code[order] + 1) * (int(number.max(initial=0)) + 1)
    named = code[order] >= 0
    result[order[named]] = (np.maximum.accumulate(apart + number[order]) - apart)[named]
    return result


def _overtaken(feature_set: FeatureSet, entity: tuple[str, ...], events: pa.Table, code: Ints) -> Ints:
    """The rows that were asked before something of their past arrived: one with a number that they could not see."""
    if not (delays := [one.delay_us for one in feature_set.of_entity(entity)]):
        return np.empty(0, np.int64)
    delay, time = min(delays), micros(events[feature_set.event_time])
    order = np.lexsort((events[feature_set.id].to_numpy(), time, code))
    code, time = code[order], time[order]
    arrival, as_of = (events[name].to_numpy()[order] for name in (ARRIVAL, AS_OF))
    before = np.arange(len(order)) if not delay else _first_after(code, time, delay)
    numbers = int(arrival.max(initial=0)) + 1
    greatest = np.maximum.accumulate((code + 1) * numbers + arrival)  # of those of the same entity up to each place
    known = greatest[np.maximum(before - 1, 0)] - (code + 1) * numbers
    return order[(as_of > 0) & (code >= 0) & (before > 0) & (known > as_of)]


def _first_after(code: Ints, time: Ints, delay: int) -> Ints:
    """For each row the first one of its entity that is later than `delay` before it."""
    moments, rank = np.unique(np.append(time, time - delay), return_inverse=True)
    rank, asked = rank[: len(time)], rank[len(time) :]
    return np.searchsorted(code * len(moments) + rank, code * len(moments) + asked, side="right")


def _rounds(code: Ints, rows: Ints) -> Iterator[Ints]:
    """The rows in parts in which every entity occurs once at most."""
    rows = rows[np.argsort(code[rows], kind="stable")]
    begins = np.flatnonzero(np.diff(code[rows], prepend=-1))
    turn = np.arange(len(rows)) - np.repeat(begins, np.diff(np.append(begins, len(rows))))
    for number in range(int(turn.max(initial=-1)) + 1):
        yield rows[turn == number]
