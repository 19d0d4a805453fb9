"""Hash buckets: which partition a value belongs to, the same in every process and on every machine."""

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MIX = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbouring ids land in different buckets


def bucket_of(values: pa.ChunkedArray, buckets: int) -> pa.Array:
    """The bucket (0 to `buckets` - 1) of each value; integers by multiplication, others by the CRC of their text."""
    if pa.types.is_integer(values.type):
        numbers = pc.fill_null(values.cast(pa.int64()), 0).to_numpy().astype(np.uint64)
        return pa.array(((numbers * MIX) >> np.uint64(33)).astype(np.int64) % buckets)
    encoded = values.combine_chunks().dictionary_encode("encode")  # a null gets a code of its own
    hashes = [zlib.crc32(str(value).encode()) % buckets for value in encoded.dictionary.to_pylist()]
    return pa.array(np.asarray(hashes, np.int64)[encoded.indices.to_numpy()])
