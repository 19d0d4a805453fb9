"""What may be wrong with feature definitions: each fault says key, value, rule and remedy; all are told at once."""

import dataclasses
import datetime as dt
import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from zoneinfo import available_timezones

from workbench.config import DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data.versions import asked_columns
from workbench.features import definitions, functions, lookups, reserved, sequence_rules, where
from workbench.features.kinds import KINDS, PREVIOUS, WINDOWED, Kind

LONGEST_DAYS = 180  # what a feature state is asked to remember


def broken(features: FeaturesConfig, data: DataConfig) -> Iterator[str]:
    """Everything that is wrong with the views."""
    data = dataclasses.replace(data, columns=asked_columns(data))  # what becomes of an event is known later only
    if not features.views:
        yield "features.views is empty. Define at least one view, or choose one: features=payments."
    for name, times in Counter(view.name for view in features.views).items():
        if times > 1:
            yield f"features.views: {times} views are named {name}. Every view needs a name of its own."
    yield from lookups.broken(features, data)
    yield from sequence_rules.broken(features)
    for view in features.views:
        yield from _view(view, data)
        for feature in view.features:
            for fault in [*_feature(view, feature, data), *_outside(feature, features, data)]:
                yield f"features.views[{view.name}].{feature.name}{fault}"


def repeated(names: Iterable[str]) -> Iterator[str]:
    """The names that several features have, once windows and categories are appended."""
    for name, times in Counter(names).items():
        if times > 1:
            yield f"features: the name {name} is used {times} times. Every feature needs a name of its own."


def taken(names: Iterable[str], data: DataConfig) -> Iterator[str]:
    """One fault for all names that the feature snapshot has other columns for."""
    if found := sorted(set(names) & set(reserved.names(data))):
        yield (
            f"features: {', '.join(found)} cannot be the name of a feature: the feature snapshot has columns of its own"
            f" that are called {', '.join(reserved.names(data))}. Rename the feature, such as {found[0]}_value."
        )


def _view(view: ViewConfig, data: DataConfig) -> Iterator[str]:
    where_ = f"features.views[{view.name}]"
    for entity in view.entity:
        if entity not in data.entities:
            yield f"{where_}.entity={entity} is no entity. Use some of: {', '.join(data.entities) or 'none'}."
    if len(set(view.entity)) < len(view.entity):
        yield f"{where_}.entity={view.entity} names a column twice. Name each once."
    for key, duration in [("delay", view.delay), *(("windows", one) for one in view.windows)]:
        try:
            length_us = definitions.duration_us(duration)
        except ValueError as error:
            yield f"{where_}.{key}: {error}."
            continue
        least = "longer than 0 and " if key == "windows" else ""
        if length_us > LONGEST_DAYS * definitions.DAY_US or (least and not length_us):
            yield f"{where_}.{key}: {duration} must be {least}at most {LONGEST_DAYS}d."
    if view.current_row and view.delay.strip("smhd0"):
        yield f"{where_}.current_row=true needs delay=0d: a delayed window ends before its row."


def _feature(view: ViewConfig, feature: FeatureConfig, data: DataConfig) -> Iterator[str]:
    if (kind := KINDS.get(feature.kind)) is None:
        yield f".kind={feature.kind} is unknown. Use one of: {', '.join(KINDS)}."
        return
    if kind.windowed and (not view.entity or not view.windows):
        yield f".kind={feature.kind} needs the view's entity and windows."
    yield from _empty(feature)
    if feature.kind == PREVIOUS:
        yield from sequence_rules.feature_faults(view, feature, data)
        return
    if feature.kind != "lookup":  # its column is the table's
        yield from _column(feature, kind, data)
    yield from _nothing(feature, kind, data)
    yield from _filter(feature, kind, data)
    yield from _calendar(feature)


def _outside(feature: FeatureConfig, features: FeaturesConfig, data: DataConfig) -> Iterator[str]:
    """What must be right where a feature comes from a table or from Python, and nowhere else be said."""
    if feature.kind == "lookup":
        yield from lookups.feature_faults(feature, features.tables, data)
    if feature.kind == "function":
        yield from functions.broken(feature, data)
    for key, kind in (("table", "lookup"), ("function", "function"), ("columns", "function"), ("of", PREVIOUS)):
        if (value := getattr(feature, key)) and feature.kind != kind:
            yield f".{key}={value} is not used by {feature.kind}. Leave it out."


def _column(feature: FeatureConfig, kind: Kind, data: DataConfig) -> Iterator[str]:
    if not kind.column:
        if feature.column is not None:
            yield f".column={feature.column} is not used by {feature.kind}. Leave it out."
        return
    if feature.column not in data.columns:
        yield f".column={feature.column} names no column of the data. Use one of: {', '.join(data.columns)}."
        return
    column = data.columns[feature.column]
    if column.type not in kind.column:
        yield f".column={feature.column} is of type {column.type}; {feature.kind} takes {' or '.join(kind.column)}."
    elif feature.kind in ("ordinal", "one_hot") and not column.categories:
        yield f".column={feature.column} has no categories. Declare data.columns.{feature.column}.categories."
    if feature.column in data.entities and feature.kind != "distinct":
        yield (
            f".column={feature.column} is an entity, which the endpoint knows by a token only: its value can be no"
            " feature. Use distinct, or another column."
        )


def _empty(feature: FeatureConfig) -> Iterator[str]:
    if feature.empty is not None and not math.isfinite(feature.empty):
        yield (
            f".empty={feature.empty} is no finite number. Say which value {feature.kind} has where there is nothing,"
            " such as empty: 0."
        )


def _nothing(feature: FeatureConfig, kind: Kind, data: DataConfig) -> Iterator[str]:
    """What a definition must say of nulls and of windows without events."""
    nulls = feature.column in data.columns and data.columns[str(feature.column)].nulls
    what = _no_number(feature.column, data)
    if feature.nulls not in (None, "skip", "zero"):
        yield f".nulls={feature.nulls} is unknown. Use skip or zero."
    elif nulls and kind.windowed and feature.nulls is None:
        zero = "" if what else " or zero (counts as 0)"
        yield f".nulls is not set, and {feature.column} may be null. Say skip (left out){zero}."
    elif feature.nulls == "zero" and kind.windowed and what:
        yield f".nulls=zero counts a null as the number 0, and {feature.column} is {what}. Use skip."
    if feature.empty is None and (kind.empty or (nulls and feature.kind == "column")):
        yield f".empty is not set. Say which value {feature.kind} has where there is nothing, such as empty: 0."


def _no_number(column: str | None, data: DataConfig) -> str | None:
    """What a column is whose values are no numbers at the endpoint; None where they are."""
    if column in data.entities:
        return "an entity, which the endpoint knows by a token"
    return "of type string" if column in data.columns and data.columns[str(column)].type == "string" else None


def _filter(feature: FeatureConfig, kind: Kind, data: DataConfig) -> Iterator[str]:
    if feature.where is None:
        if feature.kind == "share":
            yield ".where is not set: share is the part of the window's events that meet it."
        return
    if not kind.windowed:
        yield f".where={feature.where} filters a window's events, and {feature.kind} has no window. Leave it out."
    try:
        conditions = where.parse(feature.where, data.columns)
    except ValueError as error:
        yield f".where {error}."
        return
    for one in conditions:
        if one.column in data.entities:
            yield f".where compares {one.column}, an entity, which the endpoint knows by a token. Use another column."


_zones = functools.cache(available_timezones)  # it walks through all zone files


def _calendar(feature: FeatureConfig) -> Iterator[str]:
    if feature.kind in WINDOWED:
        return
    if feature.zone not in _zones():
        yield f".zone={feature.zone} is no time zone. Use a name such as Europe/Berlin."
    if not 0 <= feature.last_hour <= 23:
        yield f".last_hour={feature.last_hour} is no hour. Use 0 to 23."
    if feature.kind == "holiday" and not feature.holidays:
        yield ".holidays is empty. List dates such as 2026-12-25."
    for day in feature.holidays:
        try:
            dt.date.fromisoformat(day)
        except ValueError:
            yield f".holidays: {day} is no date. Use the form 2026-12-25."
