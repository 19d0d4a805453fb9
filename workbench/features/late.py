"""Offline features of events that came later than a horizon: as live, they see no more than what was remembered.

A state remembers events up to twice the horizon before its watermark (`online.py`). An event that is late by up to the
horizon finds all that its windows look at; a later one misses what lies before that memory, and one from before all
memory sees itself alone. Such rows are few, and are computed one by one.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.features import offline
from workbench.features.arrival import ARRIVAL, AS_OF
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import Tables
from workbench.features.timeline import entity_codes, micros
from workbench.features.versions import ASKS

Ints = NDArray[np.int64]


def watermarks(feature_set: FeatureSet, facts: pa.Table, count: int) -> Ints:
    """[count] the greatest event time (us) that a state had seen when it was asked for each of the first rows."""
    asks = facts[ASKS].to_numpy() if ASKS in facts.column_names else np.ones(facts.num_rows, bool)
    seen = np.where(asks, micros(facts[feature_set.event_time]), 0)  # a correction does not move the watermark
    arrival = facts[ARRIVAL].to_numpy()
    order = np.argsort(arrival, kind="stable")
    greatest = np.maximum.accumulate(np.append(0, seen[order]))
    return greatest[np.searchsorted(arrival[order], facts[AS_OF].to_numpy()[:count], side="right")]


def is_late(feature_set: FeatureSet, facts: pa.Table, watermark_N: Ints) -> NDArray[np.bool_]:
    """[N] which of the first rows came later than a horizon; none where no feature looks back."""
    if not feature_set.entities:
        return np.zeros(len(watermark_N), bool)
    return micros(facts[feature_set.event_time])[: len(watermark_N)] < watermark_N - feature_set.horizon_us


def features_of(
    feature_set: FeatureSet, facts: pa.Table, row: int, watermark: int, positives: PositiveIntervals, tables: Tables
) -> dict[str, float]:
    """What one row's features look back on, as it was remembered and had arrived when it was asked; by name."""
    time, oldest = micros(facts[feature_set.event_time]), watermark - feature_set.memory_us
    chosen = np.zeros(facts.num_rows, bool)
    if time[row] >= oldest:
        arrived = facts[ARRIVAL].to_numpy() <= facts[AS_OF].to_numpy()[row]
        chosen = _near(feature_set, facts, row) & arrived & (time >= oldest)
    else:
        positives = PositiveIntervals(positives.ids[:0], positives.since_us[:0], positives.until_us[:0])
    chosen[row] = True
    found = offline.features_of(feature_set, facts.filter(pa.array(chosen)), positives, tables)
    place = np.count_nonzero(chosen[:row])
    return {one.name: float(found[one.name][place]) for one in feature_set.features if one.entity}


def _near(feature_set: FeatureSet, facts: pa.Table, row: int) -> NDArray[np.bool_]:
    """[N] the rows that share an entity with the row, or with one that does: a sequence shows those as they were."""
    codes = [entity_codes(facts, entity) for entity in feature_set.entities]
    near = np.zeros(facts.num_rows, bool)
    near[row] = True
    for _ in range(2):
        near = np.logical_or.reduce([near, *((code >= 0) & np.isin(code, code[near]) for code in codes)])
    return near
