"""Names for things that are known before the work is done: digests of what the work depends on."""

import dataclasses
import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """The one JSON text of `value`: sorted keys, no spaces, dataclasses as objects, anything else as its text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode()


def digest(*parts: Any) -> str:
    """Sixteen hex characters (64 bits of SHA-256) that name these parts in this order."""
    return hashlib.sha256(canonical(parts)).hexdigest()[:16]


def sha256(content: bytes | memoryview) -> str:
    """The hex SHA-256 of `content`, as written in manifests."""
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
