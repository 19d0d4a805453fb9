"""The aggregates of one window for one event: the scalar twins of `offline.py`, with the same division at the end."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.features.definitions import Feature, FeatureSet, Window
from workbench.features.history import History, Seen
from workbench.features.kinds import KINDS
from workbench.features.measures import Measure

Event = Mapping[str, Any]
Aggregate = Callable[[Seen, Event], float]


@dataclass
class Plan:
    """What the histories of an entity keep, and how each of its features is made of that."""

    entity: tuple[str, ...]
    sums: list[Measure] = field(default_factory=list)
    values: list[Measure] = field(default_factory=list)
    windows: dict[Window, list[tuple[int, Aggregate]]] = field(default_factory=dict)
    labelled: bool = False  # whether a feature sees labels

    @classmethod
    def of(cls, feature_set: FeatureSet, entity: tuple[str, ...]) -> "Plan":
        """The plan for the features of an entity."""
        plan = cls(entity)
        for index, feature in enumerate(feature_set.features):
            if feature.entity == entity and feature.kind in AGGREGATES:
                aggregate = AGGREGATES[feature.kind](plan, feature)
                plan.windows.setdefault(feature.window, []).append((index, aggregate))
                plan.labelled |= KINDS[feature.kind].labels
        return plan

    def sum_of(self, what: str, feature: Feature) -> int:
        """The place of a running sum."""
        return _place(self.sums, Measure.of(what, feature))

    def value_of(self, feature: Feature) -> int:
        """The place of the values that count."""
        return _place(self.values, Measure.of("value", feature))

    def empty(self) -> History:
        """The history of an entity that was never seen."""
        return History([[0] for _ in self.sums], [[] for _ in self.values])


def _place(measures: list[Measure], one: Measure) -> int:
    if one not in measures:
        measures.append(one)
    return measures.index(one)


def _count(plan: Plan, f: Feature) -> Aggregate:
    if not f.where:
        return lambda seen, _: float(seen.count)
    i = plan.sum_of("count", f)
    return lambda seen, _: float(seen.total(i))


def _counted(plan: Plan, f: Feature) -> Callable[[Seen], int]:
    """How many values count in the window."""
    i = plan.sum_of("count", f)
    return lambda seen: seen.total(i)


def _sum(plan: Plan, f: Feature) -> Aggregate:
    i = plan.sum_of("sum", f)
    return lambda seen, _: float(seen.total(i))


def _mean(plan: Plan, f: Feature) -> Aggregate:
    i, counted = plan.sum_of("sum", f), _counted(plan, f)

    def mean(seen: Seen, _: Event) -> float:
        n = counted(seen)
        return float(seen.total(i)) / float(n) if n else f.empty

    return mean


def _std(plan: Plan, f: Feature) -> Aggregate:
    i, square, counted = plan.sum_of("sum", f), plan.sum_of("square", f), _counted(plan, f)

    def std(seen: Seen, _: Event) -> float:
        n = counted(seen)
        if n < 2:
            return f.empty
        return math.sqrt(float(n * seen.total(square) - seen.total(i) ** 2) / float(n * (n - 1)))

    return std


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[[Plan, Feature], Aggregate]:
    def make(plan: Plan, f: Feature) -> Aggregate:
        i = plan.value_of(f)

        def extreme(seen: Seen, _: Event) -> float:
            found = seen.values(i)
            return float(choose(found)) + 0.0 if found else f.empty  # + 0.0: no negative zero

        return extreme

    return make


def _peak(plan: Plan, f: Feature) -> Aggregate:
    values, i, counted = plan.value_of(f), plan.sum_of("sum", f), _counted(plan, f)

    def peak(seen: Seen, _: Event) -> float:
        total = seen.total(i)
        return float(max(seen.values(values)) * counted(seen)) / float(total) if total else f.empty

    return peak


def _distinct(plan: Plan, f: Feature) -> Aggregate:
    i = plan.value_of(f)
    return lambda seen, _: float(len(set(seen.values(i))))


def _ratio(plan: Plan, f: Feature) -> Aggregate:
    i, counted, own = plan.sum_of("sum", f), _counted(plan, f), Measure("value", f.column, (), f.nulls_count)

    def ratio(seen: Seen, event: Event) -> float:
        value, total = own.one(event), seen.total(i)
        return float(value * counted(seen)) / float(total) if total and value is not None else f.empty

    return ratio


def _share(plan: Plan, f: Feature) -> Aggregate:
    i = plan.sum_of("count", f)
    return lambda seen, _: float(seen.total(i)) / float(seen.count) if seen.count else f.empty


def _since_last(plan: Plan, f: Feature) -> Aggregate:
    return _elapsed(plan, f, others=True)


def _age(plan: Plan, f: Feature) -> Aggregate:
    return _elapsed(plan, f, others=False)


def _elapsed(plan: Plan, f: Feature, others: bool) -> Aggregate:
    """Seconds since the newest other event, or since the oldest event, that meets the conditions."""
    i = plan.value_of(f) if f.where else None

    def elapsed(seen: Seen, _: Event) -> float:
        history, rows = seen.history, seen.rows(others)
        for row in reversed(rows) if others else rows:
            if i is None or history.values[i][row] is not None:
                return (seen.asker.time - history.time[row]) / 1e6
        return f.empty

    return elapsed


def _known_positive_count(plan: Plan, f: Feature) -> Aggregate:
    i = plan.value_of(f) if f.where else None
    return lambda seen, _: float(len(seen.positive_times(i)))


def _known_positive_rate(plan: Plan, f: Feature) -> Aggregate:
    i, n = plan.value_of(f) if f.where else None, plan.sum_of("count", f) if f.where else None

    def rate(seen: Seen, _: Event) -> float:
        count = seen.count if n is None else seen.total(n)
        return float(len(seen.positive_times(i))) / float(count) if count else f.empty

    return rate


def _since_known_positive(plan: Plan, f: Feature) -> Aggregate:
    i = plan.value_of(f) if f.where else None

    def since(seen: Seen, _: Event) -> float:
        times = seen.positive_times(i)
        return (seen.asker.time - times[-1]) / 1e6 if times else f.empty

    return since


def _age_known_positive(plan: Plan, f: Feature) -> Aggregate:
    i = plan.value_of(f) if f.where else None

    def age(seen: Seen, _: Event) -> float:
        times = seen.positive_times(i)
        return (seen.asker.time - times[0]) / 1e6 if times else f.empty

    return age


def _newest_known_positive(plan: Plan, f: Feature) -> Aggregate:
    last = _elapsed(plan, replace(f, empty=-1.0), others=True)
    since = _since_known_positive(plan, replace(f, empty=-2.0))

    def newest(seen: Seen, event: Event) -> float:
        found = last(seen, event)
        return float(found == since(seen, event)) if found >= 0 else f.empty

    return newest


AGGREGATES: dict[str, Callable[[Plan, Feature], Aggregate]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _extreme(min),
    "max": _extreme(max),
    "peak": _peak,
    "distinct": _distinct,
    "ratio": _ratio,
    "share": _share,
    "since_last": _since_last,
    "age": _age,
    "known_positive_count": _known_positive_count,
    "known_positive_rate": _known_positive_rate,
    "since_known_positive": _since_known_positive,
    "age_known_positive": _age_known_positive,
    "newest_known_positive": _newest_known_positive,
}
