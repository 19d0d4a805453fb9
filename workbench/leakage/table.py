"""The table that is audited: its columns as numbers, its label, and what is said of time, entities and parts.

Shapes: N rows, V distinct values of a column, K folds.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
EQUAL, FIRST = "(equal rows)", "(all rows)"
HUGE = 1e100  # stands for infinity and all beyond: a mean or a difference with infinity in it would be none
SEED = 71_828_182  # no seed that made the data: folds drawn with the same 0 followed a column drawn with it


@dataclass(frozen=True)
class Column:
    """One column: numbers (times in us, at most HUGE), or the codes of its categories; NaN where it is missing."""

    name: str
    value_N: Floats
    categories: tuple[str, ...] | None = None  # the texts behind the codes; null: it is a number
    whole: bool = False  # whether all numbers are integers

    @classmethod
    def of(cls, name: str, values: pa.ChunkedArray) -> "Column | None":
        """The column as numbers; None for lists, structs and bytes, which no check reads."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            return cls.of(name, values.cast(kind.value_type))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            coded = pc.dictionary_encode(values.combine_chunks())
            texts = [str(text) for text in coded.dictionary.to_pylist()]
            rank = np.argsort(np.argsort(np.array(texts, object))) if texts else np.zeros(0, int)
            codes = np.array(coded.indices.cast(pa.float64()).to_numpy(zero_copy_only=False))
            known = ~np.isnan(codes)
            codes[known] = rank[codes[known].astype(np.int64)]
            return cls(name, codes, tuple(sorted(texts)))
        if pa.types.is_duration(kind):
            values = values.cast(pa.int64())  # Arrow makes no float of a duration
        elif pa.types.is_temporal(kind) and not pa.types.is_time(kind):
            values = pc.cast(values, pa.timestamp("us"), safe=False).cast(pa.int64())
        elif not (_is_number(kind) or pa.types.is_null(kind)):
            return None
        numbers = pc.cast(values, pa.float64(), safe=False).to_numpy().astype(np.float64).clip(-HUGE, HUGE)
        return cls(name, numbers, whole=bool(np.all(np.isnan(numbers) | (numbers == np.rint(numbers)))))

    @cached_property
    def coded(self) -> tuple[Floats, Ints]:
        """The distinct values in rising order, and for each row the place of its value, -1 where it is missing."""
        distinct_V, code_N = np.unique(self.value_N, return_inverse=True, equal_nan=True)
        known = distinct_V[~np.isnan(distinct_V)]
        return known, np.where(code_N < len(known), code_N, -1).astype(np.int64)

    @cached_property
    def missing_N(self) -> Mask:
        """Whether the row has no value."""
        return np.isnan(self.value_N)

    @property
    def number(self) -> bool:
        """Whether its values are numbers with an order that means something."""
        return self.categories is None

    def take(self, rows: Any) -> "Column":
        """The same column of some rows."""
        return dataclasses.replace(self, value_N=self.value_N[rows])

    def text(self, value: float) -> str:
        """A value as the file shows it."""
        if self.categories is not None:
            return repr(self.categories[int(value)])
        return f"{value:.10g}" if abs(value) < HUGE else f"{value * np.inf}"


@dataclass(frozen=True)
class Audited:
    """A table under audit. `columns` are what a model may see; the roles are none of them."""

    columns: tuple[Column, ...]
    label_N: NDArray[np.int64]
    time_N: Ints | None = None  # us, or any numbers that order the rows in time
    entities: tuple[Column, ...] = ()
    part: Column | None = None  # which rows train and which test
    split: str = "random"  # random | time | entity: what the split claims
    group: str | None = None  # of a split by entity, the one by whose values rows were dealt; null: by those of all
    delay: float = 0.0  # how long after the row's time its label is known, in the unit of the time
    ids: tuple[Column, ...] = ()  # names of rows: no inputs, but their order must not tell the label
    row_N: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # the row's number in the file
    # Of a table that is too large to hold, this is a sample; `kept` are others that leave together what is compared:
    # the rows of an entity (by its name), equal rows (EQUAL), the first rows in time (FIRST).
    kept: Mapping[str, "Audited"] = field(default_factory=dict)

    @property
    def parted(self) -> tuple[Column, ...]:
        """The entities of which the split claims to keep each on one side."""
        if self.split != "entity":
            return ()
        return tuple(one for one in self.entities if self.group in (None, one.name))

    def take(self, rows: Any) -> "Audited":
        """The same table of some rows."""
        return dataclasses.replace(
            self,
            columns=tuple(one.take(rows) for one in self.columns),
            label_N=self.label_N[rows],
            time_N=None if self.time_N is None else self.time_N[rows],
            entities=tuple(one.take(rows) for one in self.entities),
            part=None if self.part is None else self.part.take(rows),
            ids=tuple(one.take(rows) for one in self.ids),
            row_N=self.row_N[rows],
            kept={},
        )

    def whole(self, name: str) -> "Audited":
        """The sample that keeps together what `name` says, or this very table where it is no sample."""
        return self.kept.get(name, self)

    def sample(self, limit: int, seed: int = SEED) -> "Audited":
        """At most `limit` rows, drawn with a fixed seed, in their order."""
        rows = len(self.label_N)
        if rows <= limit:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False)))

    def groups(self, by: Column, limit: int, seed: int = SEED) -> "Audited":
        """About `limit` rows in whole groups that share a value of `by`; single rows where every group is larger."""
        if by.name in self.kept:
            return (one := self.kept[by.name]).groups(one.column(by.name), limit, seed)
        if len(self.label_N) <= limit:
            return self
        distinct_V, code_N = by.coded
        counts_V = np.bincount(code_N[code_N >= 0], minlength=len(distinct_V))
        order = np.random.default_rng(seed).permutation(len(distinct_V))
        chosen = order[np.cumsum(counts_V[order]) <= limit]
        if not len(chosen):
            return self.sample(limit, seed)
        return self.take(np.flatnonzero(np.isin(code_N, chosen)))

    def column(self, name: str) -> Column:
        """The entity or column of this name."""
        return next(one for one in (*self.entities, *self.columns) if one.name == name)

    def without(self, names: Iterable[str]) -> "Audited":
        """The same table without some of its columns."""
        gone = set(names)
        return dataclasses.replace(self, columns=tuple(one for one in self.columns if one.name not in gone))


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)
