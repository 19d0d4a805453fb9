"""Entities as keyed tokens, one by one or whole columns."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import pyarrow as pa

from workbench.governance.keys import token

ToToken = Callable[[str, Any], str]


def cached(key: bytes) -> ToToken:
    """The function (column, value) to token, which remembers the last 200,000."""

    @lru_cache(maxsize=200_000)
    def one(domain: str, value: Any) -> str:
        return token(key, domain, value)

    return one


def tokenised(events: pa.Table, columns: Iterable[str], to_token: ToToken) -> pa.Table:
    """The events with tokens in place of these columns; a null stays null."""
    for name in columns:
        encoded = events[name].combine_chunks().dictionary_encode()
        tokens = pa.array([to_token(name, value) for value in encoded.dictionary.to_pylist()], pa.string())
        events = events.set_column(events.schema.get_field_index(name), name, tokens.take(encoded.indices))
    return events
