"""Compute the features of every event as they could have been known at its time.

Reads:  validated snapshot; label ledger; the files of `features.tables`
Writes: feature snapshot: id, times, entities, label and its known time, part (stratified split), features (float64);
        a dimension snapshot of each table
Run:    python -m workloads.featurize features=payments
"""

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench import cluster
from workbench.config import Config
from workbench.data import dimensions, labels, snapshots
from workbench.data.store import Artifact, Store
from workbench.data.versions import Versions
from workbench.digest import digest
from workbench.evaluation import protocol, split
from workbench.features import distributed, incremental, tables
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workloads import door, validate

VERSION = 4


def key(cfg: Config) -> str:
    """The name of the feature snapshot."""
    return _named(validate.key(cfg), inputs(cfg))


def _named(validated: str, depends_on: dict[str, Any]) -> str:
    """The name of the features of a validated snapshot."""
    return digest("featurize", VERSION, validated, depends_on)


def inputs(cfg: Config) -> dict[str, Any]:
    """What the feature snapshot depends on besides the rows and labels."""
    parts = cfg.data.split if cfg.data.split.kind == "stratified" else None
    definitions = FeatureSet.of(cfg.features, cfg.data).to_json()
    tables = dimensions.keys(cfg.features.tables)
    return {"features": definitions, "tables": tables, "entities": cfg.data.entities, "parts": parts}


def run(cfg: Config) -> Artifact:
    """The feature snapshot."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("features", name):
        return done
    looked_up = dimensions.snapshot_all(store, cfg.features.tables)
    rows = validate.run(cfg)
    cluster.up(cfg)
    feature_set = FeatureSet.of(cfg.features, cfg.data)
    history = _ledger(cfg, rows)
    plan = _plan(cfg, feature_set, rows, history)
    history = plan.said(history)
    positives = PositiveIntervals.of(history, cfg.data.id)
    finish = _finisher(cfg, feature_set, labels.newest(history, cfg.data.id), rows)
    stage = store.stage("features", name)
    loaded = tables.load(store, feature_set, dimensions.keys(cfg.features.tables))
    versions = Versions.of(cfg.data)
    chain = distributed.chain(plan.source, feature_set, positives, loaded, finish, versions)
    schema, way = plan.write(chain, stage)
    events = rows.figures["events"] if versions else rows.rows  # corrections and deletions are facts, but no rows
    figures = {"rows": events, "features": len(feature_set.names), "feature_set": feature_set.digest, **way}
    parents = {"validated": rows.key} | {f"dimension {name}": one.key for name, one in looked_up.items()}
    artifact = stage.commit(parents, inputs(cfg), figures, schema)
    assert artifact.rows == events, f"{events} events went in, {artifact.rows} came out"
    return artifact


def table(artifact: Artifact, columns: list[str], rows: pc.Expression | None = None) -> pa.Table:
    """Chosen rows of a feature snapshot in the order of their ids, whatever partition they came from."""
    found = snapshots.read(artifact, columns, rows)
    return found.sort_by(columns[0])


def _ledger(cfg: Config, rows: Artifact) -> pa.Table:
    """The labels that belong to a validated snapshot: what its key names; feedback comes later."""
    columns = [cfg.data.id, "label", "event_time", "known_time", "recorded_at"]
    return labels.read(rows.store, rows.manifest["parents"]["raw"], channel="source", columns=columns)


def _plan(
    cfg: Config, feature_set: FeatureSet, rows: Artifact, history: pa.Table
) -> incremental.Anew | incremental.Update:
    """All rows, or those that an earlier snapshot's features do not hold for."""
    if cfg.data.split.kind == "stratified":
        return incremental.Anew(rows, "data.split.kind=stratified deals all rows to the parts anew")
    if cfg.data.versions is not None:
        return incremental.Anew(rows, "with data.versions a new row may replace any earlier one")
    name_of, ledger_of = functools.partial(_named, depends_on=inputs(cfg)), functools.partial(_ledger, cfg)
    return incremental.plan(rows, feature_set, history, name_of, ledger_of)


def _finisher(cfg: Config, feature_set: FeatureSet, newest: pa.Table, rows: Artifact) -> Any:
    """A function that gives a block its labels and parts and leaves out what is no feature, role or label."""
    import ray

    shared = ray.put(_parts(cfg, newest, rows))
    kept = [cfg.data.id, cfg.data.event_time, *cfg.data.entities]

    def finish(block: pa.Table) -> pa.Table:
        known = ray.get(shared)
        ids = block[cfg.data.id].combine_chunks()
        place = pc.index_in(ids, value_set=known[cfg.data.id].combine_chunks())
        said = known.drop_columns([cfg.data.id]).take(place)
        assert not set(kept) & set(said.column_names), "reserved.py lacks a name, or declaration.py a look at it"
        columns = {name: block[name] for name in kept} | dict(zip(said.column_names, said.columns, strict=True))
        features = {name: block[distributed.PREFIX + name] for name in feature_set.names}
        assert not columns.keys() & features.keys(), "reserved.py lacks a name"
        return pa.table(columns | features)

    return finish


def _parts(cfg: Config, newest: pa.Table, rows: Artifact) -> pa.Table:
    """Id, label, its known time and, for a stratified split, the row's part, place and draw."""
    columns = {cfg.data.id: newest[cfg.data.id], "label": newest["label"], "label_known_time": newest["known_time"]}
    if (dealt := cfg.data.split).kind == "stratified":
        ids, label = np.asarray(newest[cfg.data.id].to_pylist(), dtype=object), newest["label"].to_numpy()
        groups = None if dealt.group is None else _groups(cfg, newest[cfg.data.id], rows)
        columns["part"] = split.stratified(ids, label, dealt, groups)
        columns[protocol.PLACE] = split.places(ids, label, dealt, groups)
        columns[protocol.DRAW] = split.draws(ids if groups is None else groups, dealt.seed)
    return pa.table(columns)


def _groups(cfg: Config, ids: pa.ChunkedArray, rows: Artifact) -> np.ndarray:
    """Each id's value of `data.split.group`; the same for all rows that have none, which then are one group."""
    events = snapshots.read(rows, [cfg.data.id, str(cfg.data.split.group)])
    place = pc.index_in(ids, value_set=events[cfg.data.id].combine_chunks())
    found = events[str(cfg.data.split.group)].take(place)
    return np.asarray([str(one) for one in found.to_pylist()], dtype=object)


if __name__ == "__main__":
    door.main(run, __doc__)
