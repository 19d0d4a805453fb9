"""What the parts of a split share and must not: rows, entities, and time."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from workbench.leakage.findings import Finding
from workbench.leakage.table import EQUAL, Audited, Column, Ints

FEW_COPIES = 0.01  # a smaller share of copied rows is a note
TIME = "(time)"
TELLING = 0.5  # of the row pairs equal in all columns but the most telling one, the share equal in that too


def copies(table: Audited) -> Iterator[Finding]:
    """Rows that occur twice: on both sides of the split, or anywhere where no parts are declared."""
    apart = telling(table)
    some = table.whole(EQUAL)
    inputs = inputs_of(some)
    name_N = row_names(inputs)
    twin_N, where = _twins(name_N, some.part)
    share = float(twin_N.mean())
    if share == 0:
        return
    sampled = f" of a sample of {len(name_N):,}" if some is not table else ""
    text = f"{int(twin_N.sum()):,} rows{sampled} ({share:.2%}) have an equal one {where}"
    leak = share >= FEW_COPIES and _are_copies(inputs, name_N, apart)
    words = "Remove the copies before the split, or keep equal rows in one part." if leak else "Few, or coincidences."
    yield Finding("copied rows", "(rows)", text, words, leak)


def inputs_of(table: Audited) -> list[Column]:
    """What must be equal in rows that are copies."""
    timed = table.time_N is not None and table.split == "time"
    time = [Column(TIME, table.time_N.astype(float))] if table.time_N is not None and timed else []
    return [*table.columns, *table.entities, *time]


def telling(table: Audited) -> str:
    """The input that tells rows apart best: a sample that keeps equal rows together must not look at it."""
    return max(inputs_of(table), key=lambda one: len(one.coded[0])).name


def row_names(columns: Sequence[Column]) -> Ints:
    """A 64-bit number for each row that is the same for equal rows."""
    name_N = np.zeros(len(columns[0].value_N) if columns else 0, np.uint64)
    for column in columns:
        value_N = np.where(column.missing_N, np.float64(-1.2345e300), column.value_N + 0.0)  # + 0.0: -0.0 is 0.0
        name_N = (name_N ^ value_N.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        name_N ^= name_N >> np.uint64(29)
    return name_N.view(np.int64)


def shared_entities(table: Audited) -> Iterator[Finding]:
    """Entities that occur in more than one part of a split that claims to separate them; otherwise a note."""
    if table.part is None or table.split == "time":
        return
    for name in [one.name for one in table.entities]:
        some = table.whole(name)
        assert some.part is not None
        entity = some.column(name)
        pair = np.unique(np.stack([entity.coded[1], some.part.coded[1]]), axis=1)
        both = int((np.bincount(pair[0][pair[0] >= 0]) > 1).sum())
        if both:
            text = f"{both:,} of {len(entity.coded[0]):,} values occur in more than one part"
            leak = any(one.name == name for one in table.parted)
            remedy = (
                "Split by its value." if leak else "If new ones will be scored, split by it: leakcheck.split=entity."
            )
            yield Finding("entities in several parts", entity.name, text, remedy, leak)


def mixed_times(table: Audited) -> Iterator[Finding]:
    """Parts that overlap in time although the split claims to be one of time."""
    if table.part is None or table.split != "time" or table.time_N is None:
        return
    part_N, time = table.part.coded[1], table.time_N
    spans = sorted((int(time[part_N == p].min()), int(time[part_N == p].max())) for p in range(int(part_N.max()) + 1))
    late = [(a, b) for a, b in itertools.pairwise(spans) if b[0] < a[1]]
    for earlier, later in late:
        count = int(((time >= later[0]) & (time <= earlier[1])).sum())
        text = f"{count:,} rows lie in the times of two parts"
        yield Finding("parts overlap in time", table.part.name, text, "Cut the parts at one time.")


def _twins(name_N: Ints, part: Column | None) -> tuple[np.ndarray, str]:
    """Which rows have an equal one in another part; without parts, anywhere before them."""
    distinct, code_N = np.unique(name_N, return_inverse=True)
    if part is None:
        first = np.zeros(len(name_N), bool)
        first[np.unique(code_N, return_index=True)[1]] = True
        return ~first, "before them"
    part_N = part.coded[1]
    low, high = np.full(len(distinct), part_N.max() + 1), np.full(len(distinct), -2)
    np.minimum.at(low, code_N, part_N)
    np.maximum.at(high, code_N, part_N)
    return (low < high)[code_N], "in another part"


def _are_copies(inputs: Sequence[Column], name_N: Ints, apart: str) -> bool:
    """Whether equal rows were copied. Coincidences would mostly differ in the column that tells rows apart best."""
    best = next(one for one in inputs if one.name == apart)
    chance = float(np.sum((np.bincount(best.coded[1] + 1) / len(name_N)) ** 2))
    rest_N = row_names([one for one in inputs if one is not best])
    if not len(rest_N) or chance > 0.1:
        return False
    return _pairs(name_N) >= TELLING * _pairs(rest_N)


def _pairs(name_N: Ints) -> float:
    count = np.unique(name_N, return_counts=True)[1].astype(float)
    return float(np.minimum(count * (count - 1) / 2, 10 * count).sum())
