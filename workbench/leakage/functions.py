"""Feature functions as the leak check calls them; the one place that knows how this product computes its own."""

from collections.abc import Callable

import pyarrow as pa
from numpy.typing import NDArray

from workbench.features import offline
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.tables import NO_TABLES, Tables

# From events (id, event time, known time, entities, values) and label rows (id, label, known_time, recorded_at) to each
# feature's values, in the order of the events.
FeatureFunction = Callable[[pa.Table, pa.Table], dict[str, NDArray]]


def of_feature_set(feature_set: FeatureSet, tables: Tables = NO_TABLES) -> FeatureFunction:
    """The product's own offline computation of a feature set."""

    def compute(events: pa.Table, labels: pa.Table) -> dict[str, NDArray]:
        positives = PositiveIntervals.of(labels, feature_set.id)
        return offline.features_of(feature_set, events, positives, tables)

    return compute
