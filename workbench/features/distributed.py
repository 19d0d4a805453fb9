"""Features of a whole snapshot: its rows are brought together by one entity after the other, then the kernel.

Every row carries its features along from partition to partition, so no row is ever joined back and none can be lost.
The positive labels (under one row in a hundred) and the slow dimensions are sent to every worker once.
"""

import functools

import pyarrow as pa

from workbench.data.shuffle import Chain, Compute, Pass
from workbench.data.store import Artifact
from workbench.data.versions import GONE, Versions
from workbench.features import offline, sequences
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import Tables
from workbench.features.versions import ASKS, resolved

PREFIX = "__feature_"  # a feature may be named like the column that it is made from
ROWS_PER_BUCKET = 250_000  # what the processor's caches hold; but every pair of buckets exchanges a part, so
MANY, MOST_ROWS_PER_BUCKET = 8, 1_000_000  # where there are many already, they grow before they multiply


def chain(
    source: Artifact,
    feature_set: FeatureSet,
    positives: PositiveIntervals,
    tables: Tables,
    last: Compute,
    versions: Versions | None = None,
) -> Chain:
    """How the snapshot's rows get all features as float64 columns whose names begin with `PREFIX`, until `last`.

    Where rows are `versions` of facts, those of one id meet first, and `last` gets the rows that ask.
    """
    import ray

    shared, looked_up = ray.put(positives), ray.put(dict(tables))
    alone = functools.partial(_with_rows, feature_set, looked_up)
    entities, sequence = list(feature_set.entities), feature_set.sequence
    if sequence:  # it shows what all others have computed: its entity's pass is the last one
        entities.append(entities.pop(entities.index(sequence.entity)))
    kernels = [Pass(entity, functools.partial(_with_entity, feature_set, entity, shared)) for entity in entities]
    buckets = buckets_for(source.rows)
    if versions is None:
        return Chain(source, alone, kernels, last, buckets)
    by_id = Pass((feature_set.id,), lambda rows: alone(resolved(feature_set, versions.marked(rows), GONE)))
    return Chain(source, _as_read, [by_id, *kernels], lambda rows: last(rows.filter(rows[ASKS])), buckets)


def buckets_for(rows: int) -> int:
    """How many partitions this many rows are cut into, the same on every cluster."""
    return max(2, min(MANY, -(-rows // ROWS_PER_BUCKET)), -(-rows // MOST_ROWS_PER_BUCKET))


def _as_read(rows: pa.Table) -> pa.Table:
    return rows


def _with_rows(feature_set: FeatureSet, looked_up: object, rows: pa.Table) -> pa.Table:
    import ray

    return _with(rows, offline.row_features(feature_set, rows, ray.get(looked_up)))


def _with_entity(feature_set: FeatureSet, entity: tuple[str, ...], shared: object, rows: pa.Table) -> pa.Table:
    import ray

    rows = _with(rows, offline.entity_features(feature_set, entity, rows, ray.get(shared)))
    if feature_set.sequence is None or feature_set.sequence.entity != entity:
        return rows
    bases = {one.base for one in feature_set.sequence.features if one.base}
    found = {name: rows[PREFIX + name].to_numpy() for name in bases}
    return _with(rows, sequences.features(feature_set, rows, found))


def _with(table: pa.Table, features: dict[str, offline.Floats]) -> pa.Table:
    for name, values in features.items():
        table = table.append_column(PREFIX + name, pa.array(values))
    return table
