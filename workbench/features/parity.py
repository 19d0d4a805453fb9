"""Whether the numbers that were served are the numbers that are trained on: every feature of every row, bit for bit."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import DataConfig
from workbench.data.casting import ARROW_TYPES
from workbench.features import arrival, offline
from workbench.features.definitions import FeatureSet, known_time_column
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import NO_TABLES, Tables

Floats = NDArray[np.float64]
NUMBERS = (arrival.ARRIVAL, arrival.AS_OF)
EXAMPLES = 10


@dataclass(frozen=True)
class Parity:
    """What a comparison found."""

    rows: int
    cells: int
    differing: int
    by_feature: dict[str, int]  # of those that differ
    examples: list[dict[str, Any]]  # id, feature, served, offline
    control: bool  # whether one value, changed in its last bit, was found
    overtaken: int  # rows with other features than in training: an earlier event arrived after they were asked


def events_of(log: pa.Table, data: DataConfig) -> pa.Table:
    """The events of a prediction log as they were asked, with their numbers; entities are tokens. One row per id."""
    rows = [json.loads(text) for text in log["event"].to_pylist()]
    types = {name: pa.string() if name in data.entities else ARROW_TYPES[c.type] for name, c in data.columns.items()}
    listed = {name: pa.array([row.get(name) for row in rows], _plain(kind)).cast(kind) for name, kind in types.items()}
    known = known_time_column(data)
    listed.setdefault(known, listed[data.event_time])
    return pa.table({**listed, **{name: log[name] for name in NUMBERS}})


def recomputed(
    feature_set: FeatureSet,
    history: pa.Table,
    asked: pa.Table,
    positives: PositiveIntervals,
    tables: Tables = NO_TABLES,
) -> tuple[dict[str, Floats], int]:
    """The features of the asked events by name, offline, after a history that they are no part of.

    They see what had arrived when they were asked; also returns how many have other features for it.
    """
    for name in NUMBERS:
        history = history.append_column(name, pa.array(np.zeros(history.num_rows, np.int64)))
    columns = [name for name in asked.column_names if name in history.column_names]
    both = pa.concat_tables([history.select(columns), asked.select(columns)], promote_options="permissive")
    found, overtaken = offline.row_features(feature_set, both, tables), np.zeros(both.num_rows, bool)
    for entity in feature_set.entities:
        of_entity, differ = arrival.entity_features(feature_set, entity, both, positives)
        found |= of_entity
        overtaken |= differ
    return {name: values[history.num_rows :] for name, values in found.items()}, int(overtaken.sum())


def compare(
    names: tuple[str, ...], ids: list[Any], served_NF: Floats, offline_NF: Floats, overtaken: int = 0
) -> Parity:
    """Compare bit by bit, and prove on a copy that one bit would have been found."""
    differs_NF = _differs(served_NF, offline_NF)
    rows, columns = np.nonzero(differs_NF)
    examples = [
        {"id": str(ids[r]), "feature": names[c], "served": served_NF[r, c], "offline": offline_NF[r, c]}
        for r, c in zip(rows[:EXAMPLES].tolist(), columns[:EXAMPLES].tolist(), strict=True)
    ]
    by_feature = {names[c]: int(n) for c, n in enumerate(differs_NF.sum(axis=0)) if n}
    control = _found(served_NF, offline_NF, differs_NF)
    return Parity(len(ids), served_NF.size, int(differs_NF.sum()), by_feature, examples, control, overtaken)


def _differs(one: Floats, other: Floats) -> NDArray[np.bool_]:
    return np.ascontiguousarray(one).view(np.int64) != np.ascontiguousarray(other).view(np.int64)


def _found(served_NF: Floats, offline_NF: Floats, differs_NF: NDArray[np.bool_]) -> bool:
    """Whether a value that is one unit in the last place away is told apart: the comparison can fail."""
    equal = np.argwhere(~differs_NF)
    if not len(equal):
        return True
    row, column = equal[len(equal) // 2]
    changed_NF = served_NF.copy()
    changed_NF[row, column] = np.nextafter(changed_NF[row, column], np.inf)
    return bool(_differs(changed_NF, offline_NF)[row, column])


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind
