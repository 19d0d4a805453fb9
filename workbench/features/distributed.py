"""Features of a whole snapshot on Ray Data: hash-partitioned by one entity after the other, then the kernel.

Every row carries its features along from partition to partition, so no row is ever joined back and none can be lost.
The positive labels (under one row in a hundred) are sent to every worker once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa

from workbench.data import distributed
from workbench.data.buckets import bucket_of
from workbench.data.store import Artifact
from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals

if TYPE_CHECKING:
    from ray.data import Dataset

BUCKET = "__bucket"
PREFIX = "__feature_"  # a feature may be named like the column that it is made from


def dataset(snapshot: Artifact, feature_set: FeatureSet, positives: PositiveIntervals, partitions: int) -> "Dataset":
    """The snapshot's rows, and all features as float64 columns whose names begin with `PREFIX`."""
    import ray

    shared = ray.put(positives)
    rows = distributed.map_files(snapshot, lambda _, table: _with(table, offline.row_features(feature_set, table)))
    for entity in feature_set.entities:
        rows = rows.map_batches(_bucketed(entity, partitions), batch_size=None, batch_format="pyarrow")
        kernel = _kernel(feature_set, entity, shared)
        rows = rows.groupby(BUCKET, num_partitions=partitions).map_groups(kernel, batch_format="pyarrow")
    return rows


def _bucketed(entity: str, partitions: int) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.append_column(BUCKET, bucket_of(table[entity], partitions))


def _kernel(feature_set: FeatureSet, entity: str, shared: object) -> Callable[[pa.Table], pa.Table]:
    def compute(partition: pa.Table) -> pa.Table:
        import ray

        rows = partition.drop_columns([BUCKET])
        return _with(rows, offline.entity_features(feature_set, entity, rows, ray.get(shared)))

    return compute


def _with(table: pa.Table, features: dict[str, offline.Floats]) -> pa.Table:
    for name, values in features.items():
        table = table.append_column(PREFIX + name, pa.array(values))
    return table
