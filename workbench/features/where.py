"""Filters of facts, as a definition writes them: `amount_minor > 22000 and channel in (web, app)`.

Conditions are joined by `and`; a condition compares a column with a constant. A null meets no condition.
"""

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.config import ColumnConfig

CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|<=|>=|<|>|in\b)\s*(.+?)\s*")
SCALAR: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda value, allowed: value in allowed,
}  # fmt: skip
ARROW: dict[str, Callable[[pa.ChunkedArray, Any], Any]] = {
    "==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
    # is_in would tell -0.0 from 0.0
    "in": lambda values, allowed: functools.reduce(pc.or_, (pc.equal(values, one) for one in allowed)),
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a constant; for `in` with a tuple of constants."""

    column: str
    operator: str
    value: Any


Where = tuple[Condition, ...]


def parse(text: str | None, columns: Mapping[str, ColumnConfig]) -> Where:
    """The conditions of a definition; raises `ValueError` with what is wrong (a sentence without its subject)."""
    return tuple(_condition(part, columns) for part in re.split(r"\band\b", text)) if text else ()


def mask(where: Where, table: pa.Table) -> NDArray[np.bool_]:
    """[N] which rows meet all conditions."""
    met = np.ones(table.num_rows, bool)
    for one in where:
        found = ARROW[one.operator](table[one.column], one.value)
        met &= pc.fill_null(found, False).to_numpy()
    return met


def meets(where: Where, event: Mapping[str, Any]) -> bool:
    """Whether one event meets all conditions: the scalar twin of `mask`."""
    return all((value := event.get(one.column)) is not None and SCALAR[one.operator](value, one.value) for one in where)


def _condition(text: str, columns: Mapping[str, ColumnConfig]) -> Condition:
    found = CONDITION.fullmatch(text)
    if not found:
        raise ValueError(f"is no condition at {text.strip()!r}. Write COLUMN > NUMBER, or COLUMN in (A, B)")
    name, compared, value = found.groups()
    if name not in columns:
        raise ValueError(f"names {name}, which is no column of the data. Use one of: {', '.join(columns)}")
    kind = columns[name].type
    if kind == "timestamp" or (kind == "string" and compared in ("<", "<=", ">", ">=")):
        raise ValueError(f"cannot compare {name}, a {kind}, by {compared}. Use numbers, or == != in for texts")
    if compared != "in":
        return Condition(name, compared, _constant(value, kind))
    inner = re.fullmatch(r"\((.+)\)", value)
    if not inner:
        raise ValueError(f"needs a list in brackets at {text.strip()!r}. Write {name} in (A, B)")
    return Condition(name, compared, tuple(_constant(one.strip(), kind) for one in inner[1].split(",")))


def _constant(text: str, kind: str) -> Any:
    if kind == "string":
        return text.strip("'\"")
    try:
        value: float = float(text) if kind == "number" else int(text)
        usable = math.isfinite(value) if kind == "number" else -(2**63) <= value < 2**63
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"compares with {text!r}, which is no {kind}")
    return value
