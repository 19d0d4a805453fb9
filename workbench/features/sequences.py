"""Sequences: what other features of a set were at the entity's earlier events, each as of that event's own time.

A row at t shows the newest events of its entity that happened in the window and were known by t, itself not among them;
ties by id, as everywhere. What is shown of such an event is its own vector: that was computed from what had happened
and was known when it happened, whatever came to light since. Facts are versions of one each: corrections are refused.

Shapes: N rows, which are the facts too.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.features.definitions import FeatureSet, Sequence
from workbench.features.timeline import Timeline

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def features(feature_set: FeatureSet, events: pa.Table, found: Mapping[str, Floats]) -> dict[str, Floats]:
    """The features of kind `previous`, by name, in the order of `events`; `found` has those that they are made of.

    `events` must hold every event of each entity of the sequence that occurs in it.
    """
    if (sequence := feature_set.sequence) is None:
        return {}
    timeline, result = Timeline.of(feature_set, sequence.entity, events), dict[str, Floats]()
    for back, fact_N in enumerate(earlier(timeline, sequence), start=1):
        place = timeline.spread(np.where(fact_N < 0, -1, timeline.position[fact_N]), events.num_rows, -1).astype(int)
        elapsed = timeline.spread((timeline.time - timeline.time[fact_N]) / 1e6, events.num_rows, 0.0)
        for one in (one for one in sequence.features if one.back == back):
            shown = elapsed if one.base is None else found[one.base][place]
            result[one.name] = np.where(place < 0, one.empty, shown)
    return {one.name: result[one.name] for one in sequence.features}


def earlier(timeline: Timeline, sequence: Sequence) -> Iterator[Ints]:
    """[N] the newest earlier event that each row sees, then the one before it, and so on; -1 where there is none."""
    facts, places, window = timeline.facts, timeline.places, sequence.window
    newest = timeline.time - window.delay_us
    first = places.first_at(facts.entity, newest - window.length_us + 1)
    end = places.first_at(facts.entity, newest + 1) if window.delay_us else np.arange(len(newest))
    known = Known(facts.since)
    for _ in range(sequence.events):
        end = known.before(end, timeline.time)
        yield np.where(end >= first, end, -1)
        end = np.maximum(end, first)


class Known:
    """Since when each of a list of facts is known, and the least of each aligned block of 2, 4, 8, ... of them."""

    def __init__(self, since: Ints) -> None:
        self.levels = [since]
        while (size := len(self.levels[-1])) > 1:
            even = np.append(self.levels[-1], np.iinfo(np.int64).max)[: size + size % 2]
            self.levels.append(even.reshape(-1, 2).min(axis=1))

    def before(self, end: Ints, at: Ints) -> Ints:
        """[N] the last fact before `end` that is known by `at`, -1 where none is: few steps, however many are late."""
        found = end - 1
        late = np.flatnonzero((found >= 0) & (self.levels[0][found] > at))
        found[late] = self._search(found[late], at[late])
        return found

    def _search(self, end: Ints, at: Ints) -> Ints:
        """The same by halving: whole blocks are passed from right to left until one holds such a fact."""
        block, level = np.full(len(end), -1), np.zeros(len(end), np.int64)
        for number, least in enumerate(self.levels):
            odd = np.flatnonzero((block < 0) & ((end >> number) & 1 == 1))
            known = least[(end[odd] >> number) - 1] <= at[odd]
            block[odd[known]], level[odd[known]] = (end[odd[known]] >> number) - 1, number
            end = np.where((end >> number) & 1 == 1, end - (1 << number), end)
        for number in range(len(self.levels) - 2, -1, -1):
            inside = np.flatnonzero((block >= 0) & (level > number))
            right = np.minimum(2 * block[inside] + 1, len(self.levels[number]) - 1)
            block[inside] = np.where(self.levels[number][right] <= at[inside], right, 2 * block[inside])
        return block
