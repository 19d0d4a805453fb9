"""A feature's definition as a sentence for people, and the columns that it is made from."""

from collections.abc import Callable

from workbench.features.definitions import UNITS_US, Feature, FeatureSet
from workbench.features.kinds import KINDS, PREVIOUS

UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
ROW: dict[str, Callable[[Feature], str]] = {
    "column": lambda one: f"the value of {one.column}",
    "ordinal": lambda one: (
        f"position of {one.column} among its {len(one.categories)} categories, from 0; -1 where it is null or unknown"
    ),
    "one_hot": lambda one: f"1 where {one.column} is {one.categories[0]}, else 0",
    "hour": lambda one: f"hour of the day (0 to 23, {one.zone})",
    "weekday": lambda one: f"day of the week (0 is Monday, {one.zone})",
    "monthday": lambda one: f"day of the month (1 to 31, {one.zone})",
    "weekend": lambda one: f"1 on Saturday and Sunday ({one.zone}), else 0",
    "night": lambda one: f"1 while the hour is at most {one.last_hour} ({one.zone}), else 0",
    "holiday": lambda one: f"1 on one of {len(one.holidays)} holidays ({one.zone}), else 0",
    "lookup": lambda one: f"the {one.column} of the row of {one.table} that held and was known at the time",
    "function": lambda one: f"what {one.function.path if one.function else ''} makes of the row",
}
WINDOWED: dict[str, str] = {
    "count": "number of events",
    "sum": "sum of {column} over the events",
    "mean": "mean {column} of the events",
    "std": "sample deviation of {column} over the events",
    "min": "least {column} of the events",
    "max": "greatest {column} of the events",
    "peak": "greatest over the mean {column} of the events",
    "distinct": "number of different {column} among the events",
    "ratio": "own {column} over the mean {column} of the events",
    "share": "share of the events",
    "since_last": "seconds since the newest other event",
    "age": "seconds since the oldest event",
    "known_positive_count": "number of events known to be positive",
    "known_positive_rate": "share, known to be positive, of the events",
    PREVIOUS: "{shown} the {nth}newest earlier event",
    "since_known_positive": "seconds since the newest other event known to be positive",
    "age_known_positive": "seconds since the oldest event known to be positive",
    "newest_known_positive": "1 where the newest other event is known to be positive, else 0,",
}


def definition(feature: Feature) -> str:
    """What the feature is, in one sentence: "Number of events with the same card in the 7 days before the row."."""
    said = _windowed(feature) if feature.windowed else ROW[feature.kind](feature)
    if KINDS[feature.kind].empty or feature.kind in ("column", PREVIOUS):
        said += f"; {feature.empty:g} where there is none"
    return f"{said[0].upper()}{said[1:]}."


def sources(feature: Feature, feature_set: FeatureSet) -> list[str]:
    """The columns that it is made from, each once; those of a table as TABLE.COLUMN, the label as `label`."""
    if feature.base:
        shown = next(one for one in feature_set.features if one.name == feature.base)
        return list(dict.fromkeys([*sources(shown, feature_set), *feature.entity, feature_set.event_time]))
    time = [feature_set.event_time] if not KINDS[feature.kind].column or feature.windowed or feature.table else []
    made = [name for name, _ in feature.function.columns] if feature.function else [*time]
    own = [f"{feature.table}.{feature.column}" if feature.table else feature.column] if feature.column else []
    keys = [name for table in feature_set.tables if table.name == feature.table for name in table.key]
    label = ["label"] if KINDS[feature.kind].labels else []
    return list(dict.fromkeys([*own, *feature.entity, *keys, *(one.column for one in feature.where), *made, *label]))


def span(length_us: int) -> str:
    """A duration in its largest whole unit: `7 days`, `1 hour`."""
    unit = next((one for one in UNITS if length_us >= UNITS_US[one] and length_us % UNITS_US[one] == 0), "s")
    count = length_us // UNITS_US[unit]
    return f"{count} {UNITS[unit]}{'' if count == 1 else 's'}"


def _windowed(one: Feature) -> str:
    shown = f"{one.base} as it was at" if one.base else "seconds since"
    said = WINDOWED[one.kind].format(column=one.column, shown=shown, nth=_nth(one.back))
    met = " and ".join(f"{c.column} {c.operator} {_constant(c.value)}" for c in one.where)
    if one.kind == "share":
        said += f", those where {met}," if met else ""
    elif met:
        said += f" where {met}"
    said += f" with the same {' and '.join(one.entity)} in the {span(one.window_us)} "
    if one.delay_us:
        return said + f"that ended {span(one.delay_us)} before the row"
    own_is_unknown = KINDS[one.kind].labels and one.kind != "known_positive_rate"  # which counts it among the events
    return said + ("up to the row, itself included" if one.current_row and not own_is_unknown else "before the row")


def _nth(back: int) -> str:
    return {1: "", 2: "2nd ", 3: "3rd "}.get(back, f"{back}th ")


def _constant(value: object) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)
