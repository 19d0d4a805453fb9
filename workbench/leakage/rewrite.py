"""Rewrite the future, and demand the same past: features of rows at or before a time T must not change by one bit.

For each of several times T the future is written anew (`futures`). A feature function that sees only what had happened
and was known gives equal bits for every row at or before T. One that does not is named, with a row that changed.

Shapes: N events, R rows at or before T.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.leakage.findings import Finding
from workbench.leakage.functions import FeatureFunction
from workbench.leakage.futures import REWRITES
from workbench.leakage.history import History
from workbench.leakage.table import SEED, Floats

REMEDY = {
    "events": "End its window at the row's time: use events with event time before it (rolling, shifted, not centred).",
    "known": "Use only what was known: event and label rows whose known time is at most the row's time.",
    "ties": "Order the rows of one instant by id, and let a row see the smaller ids only.",
}


def changed(function: FeatureFunction, history: History, cuts: int, seed: int = SEED) -> list[Finding]:
    """One finding per feature that any rewrite of the future changed, with the first such row as evidence."""
    before = function(history.events, history.labels)
    found: dict[str, Finding] = {}
    random = np.random.default_rng(seed)
    for cut_us in _cuts(history, cuts):
        for words, (rewrite, remedy) in REWRITES.items():
            events, labels = rewrite(history, cut_us, random)
            after = function(events, labels)
            for one in _compared(history, cut_us, before, events, after, words, REMEDY[remedy]):
                found.setdefault(one.column, one)
    return list(found.values())


def _cuts(history: History, cuts: int) -> list[int]:
    """Times of events, spread over the middle of the history."""
    times = np.sort(history.us(history.events, history.event_time))
    shares = np.linspace(0.2, 0.9, cuts)
    return sorted({int(times[int(share * (len(times) - 1))]) for share in shares}) if len(times) else []


def _compared(
    history: History,
    cut_us: int,
    before: dict[str, Floats],
    events: pa.Table,
    after: dict[str, Floats],
    words: str,
    remedy: str,
) -> Iterator[Finding]:
    past = np.flatnonzero(history.us(history.events, history.event_time) <= cut_us)
    ids = history.events[history.id].combine_chunks().take(pa.array(past))
    place = pc.index_in(ids, value_set=events[history.id].combine_chunks()).to_numpy()
    for name, value_N in before.items():
        old, new = np.ascontiguousarray(value_N[past], np.float64), np.ascontiguousarray(after[name][place], np.float64)
        other = np.flatnonzero(old.view(np.int64) != new.view(np.int64))
        if len(other):
            row = int(other[0])
            at = np.datetime64(cut_us, "us").astype("datetime64[s]")
            text = (
                f"{words} {at}: {len(other):,} of {len(past):,} rows up to then changed; row {ids[row]}:"
                f" {old[row]:.10g}, then {new[row]:.10g}"
            )
            yield Finding("future changes the past", name, text, remedy)
