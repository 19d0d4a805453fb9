"""The as-of join of two snapshots of any size: rows of equal keys meet in one bucket, and no process sees a whole side.

A bucket holds about a million rows of both sides together; only a single key with more than that is still joined in
one process. Left rows without a key find nothing wherever they are, so they are spread over all buckets.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.shuffle import Side, write_together
from workbench.data.store import Artifact
from workbench.digest import digest
from workbench.errors import ConfigError, raise_all
from workbench.features.distributed import buckets_for
from workbench.features.join import AsOf

VERSION = 1
SPREAD = "__spread"


def joined(left: Artifact, right: Artifact, as_of: AsOf, columns: Sequence[str], prefix: str = "") -> Artifact:
    """A snapshot of the left rows, in no order, with these columns of the right rows that they find (else null).

    It lies in the left side's store as kind `joined`, named by both sides and the join: asked for again, it is found.
    Keys have one type on both sides. Needs a running Ray; raises `ConfigError` with all that is wrong at once.
    """
    _check(left, right, as_of, columns, prefix)
    said = {"as_of": dataclasses.asdict(as_of), "columns": list(columns), "prefix": prefix}
    name = digest("joined", VERSION, left.key, right.key, said)
    if done := left.store.find("joined", name):
        return done
    needed = [*dict.fromkeys([*as_of.on, *as_of.clocks, *columns])]
    stage, by = left.store.stage("joined", name), (*as_of.on, SPREAD)
    schema = write_together(
        stage,
        Side(left, functools.partial(_spread, as_of), by),
        Side(right, functools.partial(_needed, as_of, needed), by),
        functools.partial(_join, as_of, tuple(columns), prefix),
        buckets_for(left.rows + right.rows),
    )
    figures = {"rows": left.rows, "right_rows": right.rows}
    artifact = stage.commit({"left": left.key, "right": right.key}, said, figures, schema)
    assert artifact.rows == left.rows, f"{left.rows} rows went in, {artifact.rows} came out"
    return artifact


def _check(left: Artifact, right: Artifact, as_of: AsOf, columns: Sequence[str], prefix: str) -> None:
    raise_all(ConfigError, "These snapshots cannot be joined:", list(_faults(left, right, as_of, columns, prefix)))


def _faults(left: Artifact, right: Artifact, as_of: AsOf, columns: Sequence[str], prefix: str) -> Iterator[str]:
    sides = {"left": left, "right": right}
    types = {side: dict(one.manifest["schema"]) for side, one in sides.items()}
    needed = {"left": [*as_of.on, as_of.time], "right": [*as_of.on, *as_of.clocks, *columns]}
    for side, one in sides.items():
        if not one.rows:
            yield f"the {side} side {one.uri} has no rows. Join one that has some."
        for name in dict.fromkeys(needed[side]):
            if name not in types[side]:
                yield f"the {side} side {one.uri} has no column {name}. It has: {', '.join(types[side])}."
    for name in as_of.on:
        if (mine := types["left"].get(name)) != (other := types["right"].get(name)) and mine and other:
            yield f"the key {name} is {mine} on the left and {other} on the right. Declare one type for both."
    for name in columns:
        if prefix + name in types["left"]:
            yield f"the left side has a column {prefix + name} already. Say another prefix than {prefix!r}."


def _spread(as_of: AsOf, rows: pa.Table) -> pa.Table:
    """The rows with a number that is 0 where a row has a key."""
    null = functools.reduce(np.logical_or, [rows[one].is_null().to_numpy() for one in as_of.on])
    return rows.append_column(SPREAD, pa.array(np.where(null, np.arange(1, rows.num_rows + 1), 0)))


def _needed(as_of: AsOf, columns: Sequence[str], rows: pa.Table) -> pa.Table:
    """The columns of the rows that can be found: those with a key."""
    rows = rows.select(columns).filter(functools.reduce(pc.and_, [pc.is_valid(rows[one]) for one in as_of.on]))
    return rows.append_column(SPREAD, pa.array(np.zeros(rows.num_rows, np.int64)))


def _join(as_of: AsOf, columns: Sequence[str], prefix: str, left: pa.Table, right: pa.Table) -> pa.Table:
    return as_of.join(left.drop_columns([SPREAD]), right, columns, prefix)
