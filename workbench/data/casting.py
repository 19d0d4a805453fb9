"""Values of a file as the declared types, exactly. What does not fit is told apart; nothing is guessed."""

import datetime as dt
from collections.abc import Callable, Iterator

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
FIRST, LAST = (pa.scalar(one.replace(tzinfo=dt.UTC), TIME) for one in (dt.datetime.min, dt.datetime.max))
HAS_ZONE = r"[ T]\d\d:.*(Z|[+-]\d\d(:?\d\d)?)$"
BELOW_MICRO = r"(:\d\d\.\d{6})\d+"
A_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf)"
DAY = r"((0[13578]|1[02])-[0-3]\d|(0[469]|11)-([0-2]\d|30)|02-[0-2]\d)"
CLOCK = r"([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?"
LOOKS = {  # what a text of a type must look like; whether it is one, the cast decides
    "integer": r"^(-?0*(\d{1,18}|[0-8]\d{18}|9[01]\d{17}|92[0-2]\d{16})|0[xX][0-9a-fA-F]+)$",
    "number": A_NUMBER,
    "money": A_NUMBER,
    "timestamp": rf"^\d{{4}}-{DAY}([ T]{CLOCK})?$",
}
UNFIT = "__unfit."  # in front of a column's name: the column with the texts of its values that do not fit


def column_as(values: pa.Array, column: ColumnConfig) -> tuple[pa.Array, pa.Array | None]:
    """The values in the column's type, null where one does not fit, and the text of each such value (None: all fit).

    Raises `pa.ArrowException` where no value of the array's type can ever fit.
    """
    values = plain(values)
    if values.type != pa.null() and not any(fits(values.type) for fits in TAKES[column.type]):
        raise pa.ArrowTypeError(f"{values.type} is never {column.type}")
    try:
        typed = _cast(values, column)
    except pa.ArrowInvalid:
        typed = _cast_each(values, column)
    return typed, None if typed.null_count == values.null_count else _texts_of_unfit(values, typed)


def plain(values: pa.Array) -> pa.Array:
    """The same values without dictionary, wide string or view encoding."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type == pa.binary_view():
        return values.cast(pa.binary())
    return values.cast(pa.string()) if values.type in (pa.large_string(), pa.string_view()) else values


def _cast(values: pa.Array, column: ColumnConfig) -> pa.Array:
    """All values in one go; some misfits come out as null, others raise `pa.ArrowInvalid`."""
    if values.type == pa.null():
        return pa.nulls(len(values), ARROW_TYPES[column.type])
    return CASTS[column.type](values, column)


def _minor_units(values: pa.Array, column: ColumnConfig) -> pa.Array:
    """Amounts such as 12.34 as whole minor units (1234), halves to even; NaN, infinities and 2**51 do not fit."""
    minor = pc.round(pc.multiply(values.cast(pa.float64()), 10.0**column.decimals))
    return pc.if_else(pc.less(pc.abs(minor), EXACT_MINOR), minor, None).cast(pa.int64())


def _timestamps(values: pa.Array, _: ColumnConfig) -> pa.Array:
    """Times in UTC; one without a zone is taken as UTC, what is below a microsecond is cut off, years are 1 to 9999."""
    times = _parsed(values) if pa.types.is_string(values.type) else _in_micros(values)
    return pc.if_else(pc.and_(pc.greater_equal(times, FIRST), pc.less_equal(times, LAST)), times, None)


def _in_micros(values: pa.Array) -> pa.Array:
    nanos = getattr(values.type, "unit", None) == "ns"  # only these may lose digits; the others must not wrap around
    return values.cast(pa.timestamp("us", getattr(values.type, "tz", None)), safe=not nanos).cast(TIME)


def _parsed(values: pa.Array) -> pa.Array:
    zoned = pc.match_substring_regex(values, HAS_ZONE)
    nothing = pa.scalar(None, pa.string())
    local = pc.if_else(zoned, nothing, values).cast(pa.timestamp("us")).cast(TIME)
    return pc.coalesce(pc.if_else(zoned, values, nothing).cast(TIME), local)


def _simple(values: pa.Array, column: ColumnConfig) -> pa.Array:
    return values.cast(ARROW_TYPES[column.type])


def _cast_each(values: pa.Array, column: ColumnConfig) -> pa.Array:
    """The values in the column's type, null for each that does not cast; every distinct one is looked at once."""
    encoded = values.dictionary_encode()
    return pa.concat_arrays(list(_cast_parts(_likely(encoded.dictionary, column), column))).take(encoded.indices)


def _likely(values: pa.Array, column: ColumnConfig) -> pa.Array:
    """The values with null for what clearly does not fit: a million misfits found by casting take half a minute."""
    if pa.types.is_string(values.type) and column.type in LOOKS:
        if column.type == "timestamp":
            values = pc.replace_substring_regex(values, BELOW_MICRO, r"\1")
        return pc.if_else(pc.match_substring_regex(values, LOOKS[column.type]), values, None)
    if column.type == "integer":
        unsigned = pa.types.is_integer(values.type)  # of 64 bits: no other integer fails to cast
        fits = (
            pc.less_equal(values, pa.scalar(2**63 - 1, values.type)) if unsigned else pc.equal(pc.trunc(values), values)
        )
        return pc.if_else(fits, values, None)
    return values


def _cast_parts(values: pa.Array, column: ColumnConfig) -> Iterator[pa.Array]:
    """What casts, in parts, with nulls between: by eighths, some fifty casts find one misfit among a million values."""
    try:
        yield _cast(values, column)
    except pa.ArrowInvalid:
        if len(values) == 1:
            yield pa.nulls(1, ARROW_TYPES[column.type])
            return
        step = -(-len(values) // 8)
        for start in range(0, len(values), step):
            yield from _cast_parts(values[start : start + step], column)


def _texts_of_unfit(values: pa.Array, typed: pa.Array) -> pa.Array:
    """The text of each value that was lost in the cast, null for the others."""
    lost = pc.and_(pc.is_valid(values), pc.is_null(typed))
    return pc.replace_with_mask(pa.nulls(len(values), pa.string()), lost, _texts(values.filter(lost)))


def _texts(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are no text
        return pa.array([value.decode(errors="backslashreplace") for value in values.to_pylist()], pa.string())


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
