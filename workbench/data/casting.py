"""Values of a file as the declared types, exactly. What does not fit is counted and shown; nothing is guessed."""

from collections.abc import Callable, Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import ColumnConfig
from workbench.data.labels import TIME

ARROW_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "money": pa.int64(),
    "string": pa.string(),
    "timestamp": TIME,
}
EXACT_MINOR = 2.0**51  # up to here a float times 100 rounds to the right whole number
COUNTED = 1000  # distinct misfits that are looked for: finding a million of them takes most of a minute
HAS_ZONE = r"[ T]\d\d:.*(Z|[+-]\d\d(:?\d\d)?)$"


def column_as(values: pa.Array, column: ColumnConfig) -> tuple[pa.Array, str | None]:
    """The values in the column's type and None, or nulls and a sentence on how many values do not fit, with one."""
    values = plain(values)
    try:
        return _cast(values, column), None
    except (pa.ArrowException, OverflowError):
        return pa.nulls(len(values), ARROW_TYPES[column.type]), _misfit(values, column)


def plain(values: pa.Array) -> pa.Array:
    """The same values without dictionary or wide string encoding."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.string()) if values.type in (pa.large_string(), pa.string_view()) else values


def _cast(values: pa.Array, column: ColumnConfig) -> pa.Array:
    if values.type == pa.null():
        return pa.nulls(len(values), ARROW_TYPES[column.type])
    if not any(fits(values.type) for fits in TAKES[column.type]):
        raise pa.ArrowTypeError(f"{values.type} is no {column.type}")
    return CASTS[column.type](values, column)


def _minor_units(values: pa.Array, column: ColumnConfig) -> pa.Array:
    """Amounts such as 12.34 as whole minor units (1234), halves to even; NaN, infinities and 2**51 do not fit."""
    minor = pc.round(pc.multiply(values.cast(pa.float64()), 10.0**column.decimals))
    if not pc.all(pc.less(pc.abs(minor), EXACT_MINOR), min_count=0).as_py():
        raise pa.ArrowInvalid("not a finite amount below 2**51 minor units")
    return minor.cast(pa.int64())


def _timestamps(values: pa.Array, _: ColumnConfig) -> pa.Array:
    """Times in UTC; a time without a zone is taken as UTC, and anything below a microsecond is cut off."""
    if not pa.types.is_string(values.type):
        return values.cast(pa.timestamp("us", getattr(values.type, "tz", None)), safe=False).cast(TIME)
    zoned = pc.match_substring_regex(values, HAS_ZONE)
    nothing = pa.scalar(None, pa.string())
    local = pc.if_else(zoned, nothing, values).cast(pa.timestamp("us")).cast(TIME)
    return pc.coalesce(pc.if_else(zoned, values, nothing).cast(TIME), local)


def _simple(values: pa.Array, column: ColumnConfig) -> pa.Array:
    return values.cast(ARROW_TYPES[column.type])


def _misfit(values: pa.Array, column: ColumnConfig) -> str:
    """How many of the values do not fit, and the first of them."""
    rows, all_found = _misfit_rows(values, column)
    first = rows[0].as_py()
    return (
        f"{'' if all_found else 'at least '}{len(rows)} of {len(values)} values are not of type {column.type},"
        f" first in row {first}: {str(values[first].as_py())[:40]!r}"
    )


def _misfit_rows(values: pa.Array, column: ColumnConfig) -> tuple[pa.Array, bool]:
    if pa.types.is_nested(values.type):
        return pc.indices_nonzero(pc.is_valid(values)), True
    encoded = values.dictionary_encode()
    bad = list(islice(_bad_positions(encoded.dictionary, column, 0), COUNTED))
    rows = pc.indices_nonzero(pc.is_in(encoded.indices, value_set=pa.array(bad, encoded.indices.type)))
    return rows, len(bad) < COUNTED


def _bad_positions(values: pa.Array, column: ColumnConfig, start: int) -> Iterator[int]:
    """Where the values that do not cast are, by halving: two casts per bad value and level, not one per row."""
    try:
        _cast(values, column)
    except (pa.ArrowException, OverflowError):
        if len(values) == 1:
            yield start
            return
        half = len(values) // 2
        yield from _bad_positions(values[:half], column, start)
        yield from _bad_positions(values[half:], column, start + half)


NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_string)
TAKES: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "integer": (*NUMERIC, pa.types.is_boolean),
    "number": NUMERIC,
    "money": NUMERIC,
    "string": (lambda kind: not pa.types.is_nested(kind),),
    "timestamp": (pa.types.is_timestamp, pa.types.is_date, pa.types.is_string),
}
CASTS: dict[str, Callable[[pa.Array, ColumnConfig], pa.Array]] = {
    "integer": _simple,
    "number": _simple,
    "money": _minor_units,
    "string": _simple,
    "timestamp": _timestamps,
}
