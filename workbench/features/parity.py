"""Whether the numbers that were served are the numbers that are trained on: every feature of every row, bit for bit."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import DataConfig
from workbench.data.casting import ARROW_TYPES
from workbench.data.versions import GONE, asked_columns
from workbench.features import arrival, late, offline
from workbench.features.definitions import FeatureSet, known_time_column
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import NO_TABLES, Tables
from workbench.features.versions import resolved

Floats = NDArray[np.float64]
NUMBERS = (arrival.ARRIVAL, arrival.AS_OF)
EXAMPLES = 10
WRONG = "differing", "missing"  # figures of a report that must be 0
NEEDED = "rows", "control"  # and those that must not


@dataclass(frozen=True)
class Parity:
    """What a comparison found."""

    rows: int  # answers
    events: int  # that they are answers to
    cells: int
    differing: int
    by_feature: dict[str, int]  # of those that differ
    examples: list[dict[str, Any]]  # id, feature, served, offline
    control: bool  # whether one value, changed in its last bit, was found
    overtaken: int  # rows with other features than in training: an earlier event arrived after they were asked
    late: int  # rows whose event came later than a horizon: they saw what was remembered


def events_of(log: pa.Table, data: DataConfig) -> pa.Table:
    """The events of a prediction log as they were asked, with their numbers; entities are tokens. One row per id."""
    asked = _typed([json.loads(text) for text in log["event"].to_pylist()], data)
    known = known_time_column(data)
    asked = asked if known in asked.column_names else asked.append_column(known, asked[data.event_time])
    for name in NUMBERS:
        asked = asked.append_column(name, pc.fill_null(log[name], 0))
    return asked


def corrections_of(told: pa.Table, data: DataConfig) -> pa.Table:
    """What the endpoint was told later (id, event, known time; see `prediction_log`) as versions, `GONE` or not."""
    rows = [json.loads(text or "{}") for text in told["event"].to_pylist()]
    found, known = _typed(rows, data), known_time_column(data)
    said = {**{name: found[name] for name in found.column_names}, data.id: told["id"], known: told["known_time"]}
    return pa.table({**said, GONE: pc.is_null(told["event"])})


def _typed(rows: list[dict[str, Any]], data: DataConfig) -> pa.Table:
    columns = asked_columns(data).items()
    types = {name: pa.string() if name in data.entities else ARROW_TYPES[c.type] for name, c in columns}
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], _plain(kind)).cast(kind) for name, kind in types.items()}
    )


def recomputed(
    feature_set: FeatureSet,
    history: pa.Table,
    asked: pa.Table,
    positives: PositiveIntervals,
    tables: Tables = NO_TABLES,
    corrections: pa.Table | None = None,
    others: pa.Table | None = None,
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """The features of the asked events, offline, by name; `others` came one by one as well, and ask for nothing here.

    They see what had arrived and was remembered when they were asked; also returns which have other features for the
    order of arrival. What is `GONE` in the history or the corrections is a deletion; corrections of events that are
    not there are left out.
    """
    facts, found = _facts(feature_set, history, asked, corrections, others), dict[str, Floats]()
    overtaken = np.zeros(facts.num_rows, bool)
    found |= offline.row_features(feature_set, facts, tables)
    for entity in feature_set.entities:
        of_entity, differ = arrival.entity_features(feature_set, entity, facts, positives)
        found |= of_entity
        overtaken |= differ
    shown, differ = arrival.sequence_features(feature_set, facts, positives, tables)
    found, overtaken = found | shown, overtaken | differ
    watermarks = late.watermarks(feature_set, facts, asked.num_rows)
    for row in np.flatnonzero(late.is_late(feature_set, facts, watermarks)).tolist():
        then = late.features_of(feature_set, facts, row, int(watermarks[row]), positives, tables)
        for name, value in then.items():
            found[name][row] = value
    return {name: values[: asked.num_rows] for name, values in found.items()}, overtaken[: asked.num_rows]


def late_rows(
    feature_set: FeatureSet, history: pa.Table, asked: pa.Table, others: pa.Table | None = None
) -> NDArray[np.bool_]:
    """Which of the asked events came later than a horizon: they get the features of what was remembered."""
    facts = _facts(feature_set, history, asked, None, others)
    return late.is_late(feature_set, facts, late.watermarks(feature_set, facts, asked.num_rows))


def _facts(
    feature_set: FeatureSet,
    history: pa.Table,
    asked: pa.Table,
    corrections: pa.Table | None,
    others: pa.Table | None,
) -> pa.Table:
    """All versions of all events, each event once; the asked ones are the first rows."""
    identity = feature_set.id
    if GONE not in history.column_names:  # an event of the history that is asked for is no second one
        history = _without(history, asked, identity)
    parts = [asked, _numbered(history, asked, identity)]
    if others is not None:
        others = _without(_without(others, asked, identity), history, identity)
        parts.insert(1, others.set_column(others.column_names.index(arrival.AS_OF), arrival.AS_OF, _zeros(others)))
        asked = pa.concat_tables(parts[:2])
    if corrections is not None and corrections.num_rows:
        ids = pa.concat_tables([part.select([feature_set.id]) for part in parts])[feature_set.id].combine_chunks()
        told = corrections.filter(pc.is_in(corrections[feature_set.id], value_set=ids))
        parts.append(_numbered(told, asked, feature_set.id))
    kept = [name for name in asked.column_names if name in history.column_names] + [*NUMBERS, GONE]
    parts = [part.select([name for name in kept if name in part.column_names]) for part in parts]
    facts = pa.concat_tables(parts, promote_options="permissive")
    # drops deletions, and an asked event is none: they stay the first
    return resolved(feature_set, facts, GONE) if GONE in facts.column_names else facts


def _numbered(rows: pa.Table, asked: pa.Table, identity: str) -> pa.Table:
    """The rows with the numbers of what they are: of an asked event its own, as its versions come after it, else 0."""
    place = pc.index_in(rows[identity].combine_chunks(), value_set=asked[identity].combine_chunks())
    rows = rows.append_column(arrival.ARRIVAL, pc.fill_null(asked[arrival.ARRIVAL].take(place), 0))
    return rows.append_column(arrival.AS_OF, _zeros(rows))


def _without(rows: pa.Table, those: pa.Table, identity: str) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows[identity], value_set=those[identity].combine_chunks())))


def _zeros(rows: pa.Table) -> pa.Array:
    return pa.array(np.zeros(rows.num_rows, np.int64))


def holds(figures: dict[str, Any]) -> bool:
    """Whether a report shows that what was served is what is trained on: of nothing, nothing is shown."""
    return all(figures[name] for name in NEEDED) and not any(figures[name] for name in WRONG)


def compare(
    names: tuple[str, ...],
    ids: list[Any],
    served_NF: Floats,
    offline_NF: Floats,
    overtaken: int = 0,
    late: int = 0,
) -> Parity:
    """Compare bit by bit, and prove on a copy that one bit would have been found; without rows it cannot be."""
    differs_NF = _differs(served_NF, offline_NF)
    rows, columns = np.nonzero(differs_NF)
    examples = [
        {"id": str(ids[r]), "feature": names[c], "served": served_NF[r, c], "offline": offline_NF[r, c]}
        for r, c in zip(rows[:EXAMPLES].tolist(), columns[:EXAMPLES].tolist(), strict=True)
    ]
    by_feature = {names[c]: int(n) for c, n in enumerate(differs_NF.sum(axis=0)) if n}
    control = _found(served_NF, offline_NF, differs_NF)
    counts = len(ids), len(set(ids)), served_NF.size, int(differs_NF.sum())
    return Parity(*counts, by_feature, examples, control, overtaken, late)


def _differs(one: Floats, other: Floats) -> NDArray[np.bool_]:
    return np.ascontiguousarray(one).view(np.int64) != np.ascontiguousarray(other).view(np.int64)


def _found(served_NF: Floats, offline_NF: Floats, differs_NF: NDArray[np.bool_]) -> bool:
    """Whether a value that is one unit in the last place away is told apart: the comparison can fail."""
    equal = np.argwhere(~differs_NF)
    if not len(equal):
        return bool(differs_NF.size)
    row, column = equal[len(equal) // 2]
    changed_NF = served_NF.copy()
    changed_NF[row, column] = np.nextafter(changed_NF[row, column], np.inf)
    return bool(_differs(changed_NF, offline_NF)[row, column])


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.int64() if pa.types.is_timestamp(kind) else kind
