"""The vector of one event, from its own values and what is remembered of its entities, wherever that is kept."""

from collections.abc import Hashable, Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from workbench.features.aggregates import Plan
from workbench.features.definitions import FeatureSet
from workbench.features.history import Asker, History, seen
from workbench.features.rows import row_function
from workbench.features.tables import NO_TABLES, Tables

Event = Mapping[str, Any]


class Place(NamedTuple):
    """Where an event stands in the order in which a state takes events in, which its reads and insertions share."""

    arrival: int  # its own number, from 1; 0: it is history
    as_of: int  # the number of the newest event that it could see: its own, unless it was asked again


class Vector:
    """The features of a set, each at its place."""

    def __init__(self, feature_set: FeatureSet, tables: Tables = NO_TABLES) -> None:
        self.plans = [Plan.of(feature_set, entity) for entity in feature_set.entities]
        self.named = [itemgetter(*entity) for entity in feature_set.entities]
        of_row = [(index, one) for index, one in enumerate(feature_set.features) if not one.entity]
        self._row = [(index, row_function(one, feature_set, tables)) for index, one in of_row]
        self._empty = [feature.empty if feature.entity else 0.0 for feature in feature_set.features]

    def of_row(self, event: Event) -> list[float]:
        """The features in model order, those that look back still empty."""
        vector = self._empty.copy()
        for index, function in self._row:
            vector[index] = function(event)
        return vector

    def looking_back(
        self, vector: list[float], event: Event, asker: Asker, histories: Iterable[History | None]
    ) -> list[float]:
        """The same vector with what the histories say: one per plan, None where nothing is remembered."""
        for plan, history in zip(self.plans, histories, strict=True):
            if history is not None:
                for found, aggregates in zip(seen(history, plan.windows, asker), plan.windows.values(), strict=True):
                    for index, aggregate in aggregates:
                        vector[index] = aggregate(found, event)
        return vector

    def entities(self, event: Event) -> tuple[Hashable, ...]:
        """The entities of an event, one per plan; None for one that is not named in full."""
        return tuple(whole(named(event)) for named in self.named)


def whole(value: Any) -> Hashable:
    """An entity, None where it is not named in full."""
    return None if value is None or (isinstance(value, tuple) and None in value) else value
