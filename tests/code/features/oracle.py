"""Features by brute force, one row against all others, from the rules in `conf/features/README.md`: slow and plain."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.features.definitions import Feature, FeatureSet

DAY = 86_400_000_000
Row = dict[str, Any]
COLUMNS = {
    "id": ColumnConfig(type="integer"),
    "time": ColumnConfig(type="timestamp"),
    "known_time": ColumnConfig(type="timestamp"),
    "customer": ColumnConfig(type="integer", nulls=True),
    "shop": ColumnConfig(type="string"),
    "amount": ColumnConfig(type="money"),
    "points": ColumnConfig(type="integer", nulls=True),
    "speed": ColumnConfig(type="number", nulls=True),
    "channel": ColumnConfig(type="string", categories=["web", "app"], nulls=True),
}
DATA = DataConfig(
    name="random", id="id", event_time="time", known_time="known_time", entities=["customer", "shop"],
    columns=COLUMNS, label=LabelConfig(delay_days=1),
)  # fmt: skip


def definitions() -> list[FeatureConfig]:
    """Every kind that looks back, with and without filters, nulls that are left out and nulls that count."""
    one = FeatureConfig
    return [
        one("count", "count"),
        one("large", "count", where="amount > 5000 and channel in (web, app)"),
        one("sum", "sum", "amount"),
        one("points", "sum", "points", nulls="skip"),
        one("mean", "mean", "amount", empty=-1),
        one("mean_skip", "mean", "points", nulls="skip", empty=-1),
        one("mean_zero", "mean", "points", nulls="zero", empty=-1, where="channel != app"),
        one("std", "std", "amount", empty=-2),
        one("std_skip", "std", "points", nulls="skip", empty=-2),
        one("min", "min", "speed", nulls="skip", empty=-3),
        one("max", "max", "speed", nulls="skip", empty=-3),
        one("most", "max", "points", nulls="zero", empty=-3),
        one("peak", "peak", "amount", empty=-3),
        one("peak_skip", "peak", "points", nulls="skip", where="channel == web", empty=-3),
        one("shops", "distinct", "shop"),
        one("channels", "distinct", "channel", nulls="skip"),
        one("speeds", "distinct", "speed", nulls="skip"),
        one("speeds_zero", "distinct", "speed", nulls="zero"),
        one("points_zero", "distinct", "points", nulls="zero", where="amount > 5000"),
        one("ratio", "ratio", "points", nulls="skip", empty=-4),
        one("share", "share", where="channel == web", empty=-5),
        one("since", "since_last", empty=-6),
        one("since_large", "since_last", where="amount >= 9000", empty=-6),
        one("age", "age", empty=-7),
        one("frauds", "known_positive_count"),
        one("risk", "known_positive_rate", empty=-8),
        one("risk_web", "known_positive_rate", where="channel == web", empty=-8),
        one("since_fraud", "since_known_positive", empty=-9),
        one("since_fraud_web", "since_known_positive", where="channel == web", empty=-9),
        one("fraud_age", "age_known_positive", empty=-9),
        one("fraud_age_web", "age_known_positive", where="channel == web", empty=-9),
        one("last_fraud", "newest_known_positive", empty=-9),
        one("last_fraud_web", "newest_known_positive", where="channel == web", empty=-9),
    ]


def feature_set() -> FeatureSet:
    """Windows of every sort: with and without the row itself, delayed; one entity, another, and their pair."""
    sorts = [
        ("now", ["customer"], True, "0d"),
        ("before", ["customer"], False, "0d"),
        ("late", ["shop"], False, "2d"),
        ("pair", ["customer", "shop"], True, "0d"),
    ]
    views = []
    for prefix, entity, current, delay in sorts:
        named = [FeatureConfig(**{**vars(one), "name": f"{prefix}_{one.name}"}) for one in definitions()]
        views.append(ViewConfig(prefix, entity, ["36h", "5d"], delay, current, named))
    return FeatureSet.of(FeaturesConfig(views=views), DATA)


def with_sequence(
    entity: list[str], windows: str = "6d", events: int = 3, delay: str = "0d", of: list[str] | None = None
) -> FeatureSet:
    """Every kind of aggregate, columns of the row, and a sequence of an entity's earlier events."""
    one, sorts = FeatureConfig, [("now", ["customer"], True, "0d"), ("late", ["shop"], False, "2d")]
    row = [one("amount", "column", "amount"), one("channel", "ordinal", "channel"), one("hour", "hour")]
    views = [ViewConfig("row", features=row)]
    for prefix, named, current, behind in sorts:
        features = [one(**{**vars(each), "name": f"{prefix}_{each.name}"}) for each in definitions()]
        views.append(ViewConfig(prefix, named, ["36h"], behind, current, features))
    earlier = one("earlier", "previous", of=of, empty=-9)
    views.insert(1, ViewConfig("sequence", entity, [windows], delay, features=[earlier], events=events))
    return FeatureSet.of(FeaturesConfig(views=views), DATA)


def random_events(
    random: np.random.Generator, rows: int, wide: bool = False, days: int | None = None, shops: int = 3
) -> pa.Table:
    """Events with ties, late arrivals, nulls and few entities."""
    days = days or max(8, rows // 16)
    time = random.integers(0, 2 * days, rows) * DAY // 2  # half days: many ties
    known = time + np.where(random.random(rows) < 0.2, random.integers(0, 6, rows) * DAY // 4, 0)
    amount = random.integers(-(2**50), 2**50, rows) if wide else random.integers(0, 10_000, rows)
    return pa.table(
        {
            "id": random.permutation(rows),
            "time": times(time),
            "known_time": times(known),
            "customer": pa.array(random.integers(0, max(4, rows // 30), rows), mask=random.random(rows) < 0.03),
            "shop": np.array([f"shop {number}" for number in range(shops)])[random.integers(0, shops, rows)],
            "amount": amount,
            "points": pa.array(random.integers(-3, 9, rows), mask=random.random(rows) < 0.2),
            "speed": pa.array(random.normal(0, 1, rows).round(1), mask=random.random(rows) < 0.2),
            "channel": pa.array(np.array(["web", "app"])[random.integers(0, 2, rows)], mask=random.random(rows) < 0.1),
        }
    )


def random_labels(random: np.random.Generator, events: pa.Table) -> pa.Table:
    """Labels that are late, repeated, taken back and missing; some known before their event is."""
    said = random.integers(0, len(events), len(events))
    known = micros(events["time"])[said] + random.integers(0, 12, len(said)) * DAY // 4
    label = (random.random(len(said)) < 0.5).astype(np.int8)
    ids = events["id"].to_numpy()[said]
    return pa.table({"id": ids, "label": label, "known_time": times(known), "recorded_at": times(np.arange(len(said)))})


def corrected(random: np.random.Generator, events: pa.Table, **more_events: Any) -> pa.Table:
    """The events, and versions of some of them that say something else later, or nothing any more (`gone`)."""
    more = events.take(random.integers(0, len(events), len(events) // 3))
    other = random_events(random, len(more), **more_events) if len(more) else more
    known = micros(more["known_time"]) + random.integers(0, 12, len(more)) * DAY // 4
    moved = random.random(len(more)) < 0.3
    time = np.where(moved, micros(other["time"]), micros(more["time"]))
    changed = {**dict(zip(other.column_names, other.columns, strict=True)), "id": more["id"], "time": times(time)}
    versions = pa.table({**changed, "known_time": times(known)}).cast(events.schema)
    gone = np.append(np.zeros(len(events), bool), random.random(len(more)) < 0.3)
    both = pa.concat_tables([events, versions]).append_column("gone", pa.array(gone))
    return both.take(random.permutation(len(both)))


def compute(features: FeatureSet, events: pa.Table, labels: pa.Table) -> dict[int, dict[str, float]]:
    """Every feature of the first version of every event, by id, unless that version says that the event is gone."""
    past = Past(plain(events), plain(labels))
    first = {identity: versions[0] for identity, versions in past.versions.items()}
    return {identity: past.features(features, row) for identity, row in first.items() if not row.get("gone")}


class Past:
    """All versions of each event and all that was said of it, in the order in which they became known."""

    def __init__(self, events: list[Row], ledger: list[Row]) -> None:
        self.versions: dict[int, list[Row]] = {}
        self.said: dict[int, list[Row]] = {}
        for one in sorted(events, key=lambda one: one["known_time"]):  # stable: of equal times the later row counts
            self.versions.setdefault(one["id"], []).append(one)
        for one in sorted(ledger, key=lambda one: (one["known_time"], one["recorded_at"])):
            self.said.setdefault(one["id"], []).append(one)
        self._ids: dict[tuple[str, ...], dict[tuple[Any, ...], set[int]]] = {}
        self._alone: dict[int, dict[str, float]] = {}

    def features(self, features: FeatureSet, row: Row) -> dict[str, float]:
        """All features of one row."""
        found = dict(self._of_row(features, row))
        for one in features.features:
            if one.kind == "previous":
                found[one.name] = self._previous(features, one, row)
        return {one.name: found[one.name] for one in features.features}

    def _previous(self, features: FeatureSet, one: Feature, row: Row) -> float:
        """What the feature was at the entity's n-th newest earlier event, or how long ago that was."""
        if any(row[column] is None for column in one.entity):
            return one.empty
        seen = [fact for fact in self._current(one.entity, row) if _in_window(one, row, fact)]
        seen.sort(key=lambda fact: (fact["time"], fact["id"]), reverse=True)
        if len(seen) < one.back:
            return one.empty
        fact = seen[one.back - 1]
        if one.base is None:
            return (row["time"] - fact["time"]) / 1e6
        return self._of_row(features, fact)[one.base]

    def _of_row(self, features: FeatureSet, row: Row) -> dict[str, float]:
        """All features of one row but those of earlier events."""
        if row["id"] not in self._alone:
            self._alone[row["id"]] = self._computed(features, row)
        return self._alone[row["id"]]

    def _computed(self, features: FeatureSet, row: Row) -> dict[str, float]:
        current = {entity: self._current(entity, row) for entity in features.entities}
        seen: dict[tuple[Any, ...], list[Row]] = {}
        found = {}
        for one in features.features:
            if one.kind == "previous":
                continue
            if not one.entity:
                found[one.name] = _ROW[one.kind](row, one)
                continue
            key = (one.entity, one.window_us, one.delay_us)
            if key not in seen:
                seen[key] = [fact for fact in current[one.entity] if _in_window(one, row, fact)]
            found[one.name] = self._feature(one, row, seen[key])
        return found

    def _current(self, entity: tuple[str, ...], row: Row) -> list[Row]:
        """The newest version, known at the row's time, of each other event that this entity ever had."""
        newest = [self._known(self.versions[one], row["time"]) for one in self._of(entity, row) if one != row["id"]]
        return [one for one in newest if one and not one.get("gone")]

    def _of(self, entity: tuple[str, ...], row: Row) -> set[int]:
        """The ids of all events of which any version names the row's entity."""
        if entity not in self._ids:
            index = self._ids[entity] = {}
            for identity, versions in self.versions.items():
                for one in versions:
                    index.setdefault(tuple(one[column] for column in entity), set()).add(identity)
        return self._ids[entity][tuple(row[column] for column in entity)]

    def _feature(self, feature: Feature, row: Row, others: list[Row]) -> float:
        if any(row[column] is None for column in feature.entity):
            return feature.empty
        window = [*others, row] if feature.current_row else others
        met = [one for one in window if _meets(feature, one)] if feature.where else window
        value = _VALUES.get(feature.kind)
        if value is not None:
            numbers = [one[feature.column] for one in met]
            given = [n or 0 for n in numbers] if feature.nulls_count else [n for n in numbers if n is not None]
            return value(given, row[feature.column], feature)
        if feature.kind == "share":
            return len(met) / len(window) if window else feature.empty
        if feature.kind == "since_last":
            before = [one["time"] for one in others if _meets(feature, one)]
            return (row["time"] - max(before)) / 1e6 if before else feature.empty
        if feature.kind == "age":
            return (row["time"] - min(one["time"] for one in met)) / 1e6 if met else feature.empty
        if feature.kind == "count":
            return float(len(met))
        if feature.kind in ("since_known_positive", "newest_known_positive"):
            met = [one for one in others if _meets(feature, one)]
        if feature.kind == "newest_known_positive":
            last = [one for one in met if one["time"] == max(other["time"] for other in met)]
            return float(any(self._positive(one["id"], row["time"]) for one in last)) if last else feature.empty
        known = [one["time"] for one in met if one is not row and self._positive(one["id"], row["time"])]
        if feature.kind == "since_known_positive":
            return (row["time"] - max(known)) / 1e6 if known else feature.empty
        if feature.kind == "age_known_positive":
            return (row["time"] - min(known)) / 1e6 if known else feature.empty
        positive = len(known)
        if feature.kind == "known_positive_count":
            return float(positive)
        assert feature.kind == "known_positive_rate"
        return positive / len(met) if met else feature.empty

    def _positive(self, identity: int, at: int) -> bool:
        said = self._known(self.said.get(identity, []), at)
        return said is not None and said["label"] == 1

    @staticmethod
    def _known(ascending: list[Row], at: int) -> Row | None:
        """The newest that is known at a time."""
        known = [one for one in ascending if one["known_time"] <= at]
        return known[-1] if known else None


def _std(given: list[int], _: Any, feature: Feature) -> float:
    n = len(given)
    if n < 2:
        return feature.empty
    return math.sqrt(float(n * sum(v * v for v in given) - sum(given) ** 2) / float(n * (n - 1)))


def _ratio(given: list[int], own: int | None, feature: Feature) -> float:
    if own is None or not given or sum(given) == 0:
        return feature.empty
    exact = Fraction(own * len(given), sum(given))
    assert math.isclose(exact, float(own * len(given)) / float(sum(given)), rel_tol=1e-15, abs_tol=1e-300)
    return float(own * len(given)) / float(sum(given))


def _peak(given: list[int], _: Any, feature: Feature) -> float:
    return float(max(given) * len(given)) / float(sum(given)) if given and sum(given) else feature.empty


_VALUES = {
    "sum": lambda given, *_: float(sum(given)),
    "mean": lambda given, _, f: float(sum(given)) / float(len(given)) if given else f.empty,
    "std": _std,
    "min": lambda given, _, f: float(min(given)) if given else f.empty,
    "max": lambda given, _, f: float(max(given)) if given else f.empty,
    "peak": _peak,
    "distinct": lambda given, *_: float(len(set(given))),
    "ratio": _ratio,
}


_ROW: dict[str, Callable[[Row, Feature], float]] = {
    "column": lambda row, f: f.empty if row[f.column] is None else float(row[f.column]),
    "ordinal": lambda row, f: float(f.categories.index(row[f.column])) if row[f.column] is not None else -1.0,
    "hour": lambda row, _: float(row["time"] % DAY // (DAY // 24)),
}


def _in_window(feature: Feature, row: Row, fact: Row) -> bool:
    if any(fact[column] != row[column] for column in feature.entity):
        return False
    end = row["time"] - feature.delay_us
    if not end - feature.window_us < fact["time"] <= end:
        return False
    return bool(feature.delay_us or (fact["time"], fact["id"]) < (row["time"], row["id"]))


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "in": lambda a, b: a in b,
}


def _meets(feature: Feature, one: Row) -> bool:
    return all(one[c.column] is not None and _TESTS[c.operator](one[c.column], c.value) for c in feature.where)


def plain(table: pa.Table) -> list[Row]:
    """The rows with times as whole microseconds."""
    for name in [n for n in table.column_names if pa.types.is_timestamp(table[n].type)]:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    return table.to_pylist()


def times(values: np.ndarray) -> pa.Array:
    """Microseconds as timestamps."""
    return pa.array(values).cast(pa.timestamp("us", "UTC"))


def micros(column: pa.ChunkedArray) -> np.ndarray:
    """Timestamps as microseconds."""
    return column.cast(pa.int64()).to_numpy()
