"""Train every family on every fold, and choose rounds, epochs and the ensemble's weights on the selecting folds.

Reads:  feature snapshot
Writes: run: native models, ONNX members, validation log-odds, history.parquet, chosen steps and weights
Run:    python -m workloads.train train.xgboost.max_depth=4 scaling=gpu
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench import cluster, tracking
from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Stage, Store
from workbench.digest import canonical, digest
from workbench.evaluation import protocol
from workbench.evaluation.protocol import Protocol
from workbench.features.definitions import FeatureSet
from workbench.training import ensemble
from workbench.training import run as training
from workbench.training.fits import Fold, average_precision
from workbench.training.run import Trained
from workbench.validation import check_learning
from workloads import door, featurize

VERSION = 4


def key(cfg: Config) -> str:
    """The name of the run, in the store, the tracker and the checkpoints."""
    check_learning(cfg)  # whatever comes after training asks for this name first
    return digest("train", VERSION, featurize.key(cfg), inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What a run depends on besides the features."""
    families = {family: getattr(cfg.train, family) for family in cfg.train.families}
    judged = cfg.evaluate
    folds = [judged.protocol, judged.select_starts, judged.fold_starts, cfg.data.split]
    if judged.protocol == "kfold":
        folds += [judged.folds, judged.fold]
    if judged.train_share != 1:
        folds += [judged.train_share]
    return {"families": families, "seeds": cfg.train.seeds, "folds": folds, "workers": cfg.scaling.workers}


def run(cfg: Config) -> Artifact:
    """The finished run."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("runs", name):
        return done
    features = featurize.run(cfg)
    cluster.up(cfg)
    folds = protocol.of(cfg, features)
    return keep(cfg, features, folds, lambda: _train(cfg, features, folds, name), name)


def keep(
    cfg: Config, features: Artifact, folds: Protocol, made: Callable[[], dict[str, Trained]], name: str
) -> Artifact:
    """The run of families that are trained while the tracker looks on."""
    store = features.store
    with tracking.open_run(cfg.tracker, name, "train", inputs_for_tracker(cfg)) as tracked:
        trained = made()
        selected = [_selected(cfg, features, fold, trained) for fold in folds.select]
        weights = ensemble.weights(selected)
        stage = store.stage("runs", name)
        _write_models(stage, trained)
        _write_tables(stage, trained, selected, folds)
        figures = _figures(trained, selected, weights)
        for row in _history(trained):
            tracked.log(row["step"], {f"{row['family']}/{row['fit']}/{row['metric']}": row["value"]})
        tracked.summary(figures)
        artifact = stage.commit(
            {"features": features.key},
            inputs(cfg),
            figures,
            weights=dict(zip(trained, weights, strict=True)),
            steps={family: one.steps for family, one in trained.items()},
        )
        tracked.artifact(artifact, "run")
        for family, one in trained.items():
            tracked.checkpoints(f"{family}-{name}", one.checkpoints)
    return artifact


def inputs_for_tracker(cfg: Config) -> dict[str, Any]:
    """The configuration as a tracker shows it: names and numbers, no identifiers."""
    named = {"experiment": cfg.name, "config_digest": digest(inputs(cfg)), "families": cfg.train.families}
    return named | {"train": json.loads(canonical(inputs(cfg)))}


def _train(cfg: Config, features: Artifact, folds: Protocol, name: str) -> dict[str, Trained]:
    names = FeatureSet.of(cfg.features, cfg.data).names
    plan = [*folds.select, *protocol.without_score(folds.test)]
    return training.train_each(features, names, cfg.data.id, plan, cfg.train, cfg.scaling, name)


def _selected(
    cfg: Config, features: Artifact, fold: Fold, trained: dict[str, Trained]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and the members' log-odds [N, M] of a selecting fold's scored rows."""
    assert fold.score is not None
    labelled = fold.score & pc.is_valid(pc.field("label"))
    label = featurize.table(features, [cfg.data.id, "label"], labelled)["label"].to_numpy()
    return label, np.stack([one.logits_N(fold.name) for one in trained.values()], axis=1)


def _write_models(stage: Stage, trained: dict[str, Trained]) -> None:
    for family, one in trained.items():
        for (fold, seed), fitted in one.fits.items():
            if fold.startswith(protocol.TEST):
                stage.write_bytes(f"{family}/{fold}-seed{seed}.native", fitted.model)
                stage.write_bytes(f"{family}/{fold}-seed{seed}.onnx", fitted.onnx)


def _write_tables(stage: Stage, trained: dict[str, Trained], selected: list[Any], folds: Protocol) -> None:
    history = write_table(stage.store.fs, stage.folder, pa.Table.from_pylist(_history(trained)), "history")
    stage.files.append(history)
    for family, one in trained.items():
        for attempt, segment in one.segments.items():
            name = f"segment-{family}-{attempt:04}"
            stage.files.append(write_table(stage.store.fs, stage.folder, segment, name))
    for fold, (label_N, logits_NM) in zip(folds.select, selected, strict=True):
        columns = dict(zip(trained, logits_NM.T, strict=True))
        stage.files.append(
            write_table(
                stage.store.fs, stage.folder, pa.table({"label": label_N, **columns}), f"validation-{fold.name}"
            )
        )


def _history(trained: dict[str, Trained]) -> list[dict[str, Any]]:
    rows = []
    for family, one in trained.items():
        for (fold, seed), fitted in one.fits.items():
            for metric in ("average_precision", "train_loss"):
                values = zip(fitted.steps, getattr(fitted, metric), strict=False)
                named = {"family": family, "fit": f"{fold}-seed{seed}", "metric": metric}
                rows += [{**named, "step": step, "value": value} for step, value in values]
    return rows


def _figures(trained: dict[str, Trained], selected: list[Any], weights: list[float]) -> dict[str, Any]:
    """Average precision on the selecting folds: what was chosen by, never what is reported as the model's quality."""
    members = {
        family: {"validation_average_precision": float(np.mean([average_precision(y, z[:, i]) for y, z in selected]))}
        for i, family in enumerate(trained)
    }
    mixed = [average_precision(y, z @ np.array(weights)) for y, z in selected]
    return members | {"ensemble": {"validation_average_precision": float(np.mean(mixed))}}


if __name__ == "__main__":
    door.main(run, __doc__)
