"""Hash buckets: which partition a value belongs to, the same in every process and on every machine."""

import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MIX = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbouring ids land in different buckets


def bucket_of(values: pa.ChunkedArray, buckets: int) -> pa.Array:
    """The bucket (0 to `buckets` - 1) of each value."""
    return pa.array(_buckets([values], buckets))


def split(table: pa.Table, columns: Sequence[str], buckets: int) -> list[pa.Table]:
    """The rows of each bucket of some columns together, in the order that they had."""
    bucket = _buckets([table[name] for name in columns], buckets)
    order = np.argsort(bucket.astype(np.uint16), kind="stable")
    sorted_ = pa.table({name: _taken(table[name], order) for name in table.column_names})
    ends = np.cumsum(np.bincount(bucket, minlength=buckets)).tolist()
    return [sorted_.slice(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def below(table: pa.Table, columns: Sequence[str], share: float) -> NDArray[np.bool_]:
    """[N] whether the hash of some columns of a row lies in the lowest share of all: rows with equal values agree."""
    mixed = (_mixed([table[name] for name in columns]) + MIX) * MIX  # once more: the hash of 0 is 0, below any share
    return mixed >> np.uint64(33) < np.uint64(share * 2**31)


def _taken(column: pa.ChunkedArray, order: NDArray[np.int64]) -> pa.Array:
    """The values in another order; plain 64-bit ones by NumPy, which is several times as fast as Arrow."""
    values = column.combine_chunks()
    if values.null_count or not pa.types.is_primitive(values.type) or values.type.bit_width != 64:
        return values.take(pa.array(order))
    return pa.array(values.view(pa.int64()).to_numpy()[order]).view(values.type)


def _buckets(columns: Sequence[pa.ChunkedArray], buckets: int) -> NDArray[np.int64]:
    return (_mixed(columns) >> np.uint64(33)).astype(np.int64) % buckets


def _mixed(columns: Sequence[pa.ChunkedArray]) -> NDArray[np.uint64]:
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ _hash(column)) * MIX
    return mixed


def _hash(values: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Integers and the bits of numbers are their own hash, others have the CRC of their text; nulls are all equal."""
    if pa.types.is_integer(values.type):
        return pc.fill_null(values.cast(pa.int64()), 0).to_numpy().astype(np.uint64)
    if pa.types.is_floating(values.type):  # + 0.0: -0.0 is 0.0
        bits = (pc.fill_null(values.cast(pa.float64()), np.nan).to_numpy() + 0.0).view(np.uint64)
        return bits ^ (bits >> np.uint64(32))  # whole numbers differ in high bits only, which a product pushes out
    encoded = values.combine_chunks().dictionary_encode("encode")  # a null gets a code of its own
    hashes = [zlib.crc32(str(value).encode()) for value in encoded.dictionary.to_pylist()]
    return np.asarray(hashes, np.uint64)[encoded.indices.to_numpy()]
