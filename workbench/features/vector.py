"""The vector of one event, from its own values and what is remembered of its entities, wherever that is kept."""

from collections.abc import Hashable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from workbench.features.aggregates import Plan
from workbench.features.definitions import FeatureSet
from workbench.features.history import Asker, History, seen
from workbench.features.rows import row_function

Event = Mapping[str, Any]


class Vector:
    """The features of a set, each at its place."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.plans = [Plan.of(feature_set, entity) for entity in feature_set.entities]
        self.named = [itemgetter(*entity) for entity in feature_set.entities]
        self._row = [(i, row_function(f, feature_set)) for i, f in enumerate(feature_set.features) if not f.entity]
        self._empty = [feature.empty if feature.entity else 0.0 for feature in feature_set.features]

    def of(self, event: Event, asker: Asker, histories: Iterable[History | None]) -> list[float]:
        """The features in model order; a history per plan, None where nothing is remembered."""
        vector = self._empty.copy()
        for index, function in self._row:
            vector[index] = function(event)
        for plan, history in zip(self.plans, histories, strict=True):
            if history is not None:
                for window, aggregates in plan.windows:
                    found = seen(history, window, asker)
                    for index, aggregate in aggregates:
                        vector[index] = aggregate(found, event)
        return vector

    def entities(self, event: Event) -> tuple[Hashable, ...]:
        """The entities of an event, one per plan; None for one that is not named in full."""
        return tuple(whole(named(event)) for named in self.named)


def whole(value: Any) -> Hashable:
    """An entity, None where it is not named in full."""
    return None if value is None or (isinstance(value, tuple) and None in value) else value
