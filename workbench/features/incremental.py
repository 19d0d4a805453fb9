"""A new day costs a day: of a snapshot that has grown since its features were made, only what may differ is computed.

`cut.py` has the rule. What an earlier feature snapshot of the same definitions holds before the cut is kept: files with
such rows only are adopted as they are, others are shortened. The result has the rows of the whole computation, bit for
bit, in other files. Snapshots are compared by the digests of their files: what has the same content has not changed.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from workbench.data.distributed import gathered
from workbench.data.parquet import FileEntry, read_table, span, write_table
from workbench.data.shuffle import Chain, Compute
from workbench.data.store import Artifact, Stage
from workbench.features.cut import NOTHING, Cut
from workbench.features.definitions import FeatureSet
from workbench.features.labels import NEVER_US
from workbench.progress import say

MOST = 0.75  # of the rows: where more lie in files that must be read, all are computed
MOST_FILES = 1000  # of an earlier snapshot: every update adds some small ones, and every reader has a task for each
FOOTERS_AT_ONCE = 16  # each is a round trip where the store is remote
Schema = list[list[str]]


@dataclass(frozen=True)
class Anew:
    """All rows are computed."""

    source: Artifact
    why: str

    def said(self, ledger: pa.Table) -> pa.Table:
        """The labels that are needed: all."""
        return ledger

    def write(self, chain: Chain, stage: Stage) -> tuple[Schema, dict[str, Any]]:
        """Add all files to the stage; returns the rows' schema and what the manifest says of it."""
        say(f"  features of all {self.source.rows:,} rows: {self.why}")
        return chain.write(stage), {"kept": 0, "why": self.why}


@dataclass(frozen=True)
class Update:
    """Rows before the cut are kept, the others are computed."""

    source: Artifact  # the rows' files that must be read
    earlier: Artifact  # finished features
    whole: list[FileEntry]  # those of their files that hold nothing but rows before the cut
    mixed: list[FileEntry]  # and those that hold such rows too
    cut: Cut

    def said(self, ledger: pa.Table) -> pa.Table:
        """The labels that are needed."""
        return self.cut.said(ledger)

    def write(self, chain: Chain, stage: Stage) -> tuple[Schema, dict[str, Any]]:
        """Add computed and kept files to the stage; returns the rows' schema and what the manifest says of it."""
        schema: Schema = self.earlier.manifest["schema"]
        if self.source.files:
            first, last = (
                functools.partial(_read, self.cut, chain.first),
                functools.partial(_computed, self.cut, chain.last),
            )
            schema = dataclasses.replace(chain, first=first, last=last).write(stage)
        computed, stage.files = stage.files, []
        self._keep(stage)
        kept = sum(entry.rows for entry in stage.files)
        stage.files += computed
        why = self.cut.why + (f", first seen at {_shown(self.cut.since_us)}" if self.cut.why != NOTHING else "")
        say(f"  features of {kept:,} rows are those of {self.earlier.key}, {_rows(computed):,} are computed: {why}")
        return schema, {"kept": kept, "kept_from": self.earlier.key, "shortened_files": len(self.mixed), "why": why}

    def _keep(self, stage: Stage) -> None:
        import ray

        for entry in self.whole:
            stage.adopt(self.earlier, entry)
        shorten = ray.remote(_shortened)
        stage.files += ray.get([shorten.remote(self.earlier, entry, self.cut, stage) for entry in self.mixed])


def plan(
    rows: Artifact,
    feature_set: FeatureSet,
    ledger: pa.Table,
    name_of: Callable[[str], str],
    ledger_of: Callable[[Artifact], pa.Table],
) -> Anew | Update:
    """How the features of a validated snapshot are best made; needs a running Ray.

    `name_of` gives the key of the features of a validated snapshot's key, with these definitions and by this version;
    `ledger_of` the labels that another validated snapshot's features were made with, as `ledger` is for this one.
    """
    if (found := _earlier(rows, name_of)) is None:
        return Anew(rows, "no earlier features of these definitions share their rows")
    features, before = found
    if len(features.files) > MOST_FILES:
        return Anew(rows, f"those of {features.key} lie in {len(features.files):,} files, more than {MOST_FILES:,}")
    came, gone = (_apart(one, other, feature_set) for one, other in ((rows, before), (before, rows)))
    cut = Cut.of(feature_set, came, gone, ledger_of(before), ledger)
    spans = _spans(rows, feature_set.event_time)
    source = rows.only(entry for entry, (_, last) in spans if last >= cut.read_us)
    if source.rows > MOST * rows.rows:
        return Anew(rows, f"{cut.why}, first seen at {_shown(cut.since_us)}: most rows had to be read")
    held = [(entry, first, last) for entry, (first, last) in _spans(features, feature_set.event_time)]
    whole = [entry for entry, _, last in held if last < cut.since_us]
    mixed = [entry for entry, first, last in held if first < cut.since_us <= last]
    return Update(source, features, whole, mixed, cut)


def _earlier(rows: Artifact, name_of: Callable[[str], str]) -> tuple[Artifact, Artifact] | None:
    """The finished features and their validated snapshot that share most rows with this one; None: none share any."""
    store, mine = rows.store, {entry.sha256 for entry in rows.files}
    made = [(store.find("features", name_of(key)), store.get("validated", key)) for key in store.keys("validated")]
    shared = [
        (_rows([entry for entry in before.files if entry.sha256 in mine]), features, before)
        for features, before in made
        if features is not None
    ]
    most, *found = max(shared, key=lambda one: one[0], default=(0,))
    return (found[0], found[1]) if most else None


def _apart(one: Artifact, other: Artifact, feature_set: FeatureSet) -> pa.Table:
    """Ids and times of the rows of those files of one snapshot that the other has not."""
    theirs = {entry.sha256 for entry in other.files}
    only = one.only(entry for entry in one.files if entry.sha256 not in theirs)
    columns = list(dict.fromkeys([feature_set.id, feature_set.event_time, feature_set.known_time]))
    return gathered(only, columns) if only.files else pa.table({name: pa.nulls(0) for name in columns})


def _spans(artifact: Artifact, column: str) -> list[tuple[FileEntry, tuple[int, int]]]:
    """Each file with its first and last time; a file that does not say may hold any."""
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as threads:
        found = threads.map(lambda entry: span(artifact.store.fs, artifact.folder, entry, column), artifact.files)
        return list(zip(artifact.files, (one or (-NEVER_US, NEVER_US) for one in found), strict=True))


def _read(cut: Cut, first: Compute, rows: pa.Table) -> pa.Table:
    return first(cut.reads(rows))


def _computed(cut: Cut, last: Compute, rows: pa.Table) -> pa.Table:
    return last(cut.computes(rows))


def _shortened(earlier: Artifact, entry: FileEntry, cut: Cut, stage: Stage) -> FileEntry:
    kept = cut.keeps(read_table(earlier.store.fs, earlier.folder, entry))
    return write_table(stage.store.fs, stage.folder, kept)


def _rows(entries: list[FileEntry]) -> int:
    return sum(entry.rows for entry in entries)


def _shown(time_us: int) -> str:
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=time_us)).isoformat(" ", "seconds")
