"""What is known of scored rows besides features: amount, how long the customer has been there, kind of fraud.

Shapes: N rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import DataConfig
from workbench.data import labels, snapshots
from workbench.data.store import Artifact
from workbench.evaluation.scored import Scored
from workbench.features.timeline import micros

Array = NDArray[Any]


@dataclass(frozen=True)
class Context:
    """Beside the scored rows; None for what the data set does not know."""

    amount_N: Array | None  # in the column's own units: minor units of money columns; NaN where it has none
    age_us_N: Array | None  # since the customer's first event
    scenario_N: Array | None  # texts; "" where the ledger names none


def of(validated: Artifact, data: DataConfig, scored: Scored, amount: str | None) -> Context:
    """What validated events and the label ledger say of the scored rows; reads one file after the other."""
    entity = customer(data) if scored.card_N is not None else None
    amount_N, first = np.full(len(scored), np.nan), list[pa.Table]()
    ids, cards = pa.array(scored.id_N), None if entity is None else pa.array(np.unique(scored.card_N))  # type: ignore[arg-type]
    for events in _events(validated, data, [one for one in (entity, amount) if one]):
        if amount is not None:
            own = events.filter(pc.is_in(events[data.id], value_set=ids))
            place_N, known_N = _last(own[data.id], ids)
            amount_N[known_N] = own[amount].cast(pa.float64()).to_numpy()[place_N[known_N]]
        if entity is not None:
            own = events.filter(pc.is_in(events[entity], value_set=cards))
            first.append(own.group_by(entity).aggregate([(data.event_time, "min")]))
    return Context(
        amount_N if amount is not None else None,
        None if entity is None else _age(scored, entity, pa.concat_tables(first), f"{data.event_time}_min"),
        _scenarios(validated, data.id, ids),
    )


def customer(data: DataConfig) -> str | None:
    """The column that names who is looked at: the split's own, else the first entity."""
    return data.split.exclude_known or next(iter(data.entities), None)


def amount_column(data: DataConfig, chosen: str | None) -> str | None:
    """The chosen column, else the first of type money."""
    return chosen or next((name for name, one in data.columns.items() if one.type == "money"), None)


def is_money(data: DataConfig, column: str | None) -> bool:
    """Whether a column counts minor units."""
    return column is not None and data.columns[column].type == "money"


def _events(validated: Artifact, data: DataConfig, more: list[str]) -> Iterator[pa.Table]:
    """The events file by file; of several versions of a fact, all: the amount is the last one's."""
    columns = list(dict.fromkeys([data.id, data.event_time, *more]))
    for entry in validated.files:
        yield snapshots.read_file(validated, entry, columns)


def _last(event_ids: pa.ChunkedArray, ids: pa.Array) -> tuple[Array, Array]:
    """Where among some events each row [N] comes last, and whether [N] it is there.

    Asked from the rows' side: folds that overlap score a row twice, and the other way round only the first is found.
    """
    back = pc.index_in(ids, value_set=event_ids.combine_chunks()[::-1])
    return len(event_ids) - 1 - pc.fill_null(back, 0).to_numpy(), pc.is_valid(back).to_numpy(zero_copy_only=False)


def _age(scored: Scored, entity: str, found: pa.Table, time: str) -> Array:
    earliest = found.group_by(entity).aggregate([(time, "min")])
    place = pc.index_in(pa.array(scored.card_N), value_set=earliest[entity].combine_chunks())
    return scored.time_us_N - micros(earliest[f"{time}_min"])[place.to_numpy(zero_copy_only=False)]


def _scenarios(validated: Artifact, id_column: str, ids: pa.Array) -> Array | None:
    raw = validated.manifest["parents"]["raw"]
    said = pc.field("channel") == "source"
    columns = [id_column, "scenario", "known_time", "recorded_at"]
    found = labels.ledger(validated.store, raw).read(columns, said & (pc.field("label") == 1))
    found = labels.newest(found.filter(pc.is_in(found[id_column], value_set=ids)), id_column)
    if found["scenario"].null_count == found.num_rows:
        return None
    place = pc.index_in(ids, value_set=found[id_column].combine_chunks())
    return np.asarray(pc.fill_null(found["scenario"].combine_chunks().take(place), "").to_pylist(), dtype=object)
