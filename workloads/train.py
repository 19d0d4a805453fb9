"""Train every family on every fold; on the selecting folds choose rounds, epochs, the ensemble's weights, calibration.

Reads:  feature snapshot
Writes: run: native models, ONNX members, validation log-odds, history.parquet, chosen steps, weights, calibration
Run:    python -m workloads.train train.xgboost.max_depth=4 scaling=gpu
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from workbench import cluster, tracking
from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Stage, Store
from workbench.digest import canonical, digest
from workbench.evaluation import protocol, scoring
from workbench.evaluation.protocol import Protocol
from workbench.features.definitions import FeatureSet
from workbench.progress import say
from workbench.training.families import train_each
from workbench.training.fits import average_precision
from workbench.training.mixture import Mixture, mixture
from workbench.training.plan import anomaly_features
from workbench.training.trained import Trained
from workbench.validation import check_learning
from workloads import door, featurize

VERSION = 9


def key(cfg: Config) -> str:
    """The name of the run, in the store, the tracker and the checkpoints."""
    check_learning(cfg)  # whatever comes after training asks for this name first
    return digest("train", VERSION, featurize.key(cfg), inputs(cfg))


def fits_key(cfg: Config) -> str:
    """The name of the checkpoints: runs that mix the same fits otherwise find them there and fit nothing again."""
    return digest("fits", VERSION, featurize.key(cfg), _fit_inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What a run depends on besides the features."""
    return {**_fit_inputs(cfg), "ensemble": cfg.train.ensemble, "calibration": cfg.train.calibration}


def _fit_inputs(cfg: Config) -> dict[str, Any]:
    needed = [*cfg.train.families, *anomaly_features(cfg.train)]
    families = {family: getattr(cfg.train, family) for family in needed}
    judged = cfg.evaluate
    folds = [judged.protocol, judged.select_starts, judged.fold_starts, cfg.data.split]
    if judged.protocol == "kfold":
        folds += [judged.folds, judged.fold]
    if judged.train_share != 1:
        folds += [judged.train_share]
    found = {"families": families, "seeds": cfg.train.seeds, "folds": folds, "workers": cfg.scaling.workers}
    return found | ({"device": "gpu"} if cfg.scaling.gpus_per_worker else {})


def run(cfg: Config) -> Artifact:
    """The finished run."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("runs", name):
        return done
    features = featurize.run(cfg)
    cluster.up(cfg)
    folds = protocol.of(cfg, features)
    scoring.check(features, folds.test, protocol.remedy(cfg))
    return keep(cfg, features, folds, lambda: _train(cfg, features, folds, fits_key(cfg)), name)


def keep(
    cfg: Config, features: Artifact, folds: Protocol, made: Callable[[], dict[str, Trained]], name: str
) -> Artifact:
    """The run of families that are trained while the tracker looks on."""
    store = features.store
    with tracking.open_run(cfg.tracker, name, "train", inputs_for_tracker(cfg)) as tracked:
        trained = made()
        selected = _selected(cfg, features, folds, trained)
        chosen = mixture({name: (y, z) for name, (_, y, z) in selected.items()}, cfg.train)
        _say(trained, chosen)
        stage = store.stage("runs", name)
        _write_models(stage, trained)
        _write_tables(stage, trained, selected)
        figures = _figures(trained, [(y, z) for _, y, z in selected.values()], chosen.weights)
        for row in _history(trained):
            tracked.log(row["step"], {f"{row['family']}/{row['fit']}/{row['metric']}": row["value"]})
        tracked.summary(figures)
        artifact = stage.commit(
            {"features": features.key},
            inputs(cfg),
            figures,
            weights=dict(zip(trained, chosen.weights, strict=True)),
            calibration=chosen.calibration and chosen.calibration.to_json(),
            calibration_assessed=chosen.assessed,
            steps={family: one.steps for family, one in trained.items()},
        )
        tracked.artifact(artifact, "run")
        for family, one in trained.items():
            tracked.checkpoints(f"{family}-{name}", one.checkpoints)
    return artifact


def shown(cfg: Config) -> Artifact:
    """The finished run, its figures on the validation rows printed."""
    artifact = run(cfg)
    say("average precision on the validation rows (it chose steps and weights: no figure of quality)")
    for model, figures in artifact.figures.items():
        say(f"  {model:32}{figures['validation_average_precision']:9.3f}")
    return artifact


def inputs_for_tracker(cfg: Config) -> dict[str, Any]:
    """The configuration as a tracker shows it: names and numbers, no identifiers."""
    named = {"experiment": cfg.name, "config_digest": digest(inputs(cfg)), "families": cfg.train.families}
    return named | {"train": json.loads(canonical(inputs(cfg)))}


def _train(cfg: Config, features: Artifact, folds: Protocol, name: str) -> dict[str, Trained]:
    names = FeatureSet.of(cfg.features, cfg.data).names
    plan = [*folds.select, *protocol.without_score(folds.test)]
    return train_each(features, names, cfg.data.id, plan, cfg.train, cfg.scaling, name)


def _selected(
    cfg: Config, features: Artifact, folds: Protocol, trained: dict[str, Trained]
) -> dict[str, tuple[pa.Table, np.ndarray, np.ndarray]]:
    """Ids and times, labels [N] and the members' log-odds [N, M] of each selecting fold's scored rows, read by tasks.

    No fit saw the rows that it scores: these are out-of-fold log-odds, by the fits of the chosen number of steps.
    """
    columns = [cfg.data.id, cfg.data.event_time, "label"]
    read = ray.remote(featurize.table)
    asked = {
        fold.name: read.remote(features, columns, fold.score & pc.is_valid(pc.field("label")))
        for fold in folds.select
        if fold.score is not None
    }
    seeds = cfg.train.seeds if cfg.train.ensemble.bagged else cfg.train.seeds[:1]  # those of what can be registered
    found = {}
    for name, reference in asked.items():
        rows = ray.get(reference)
        logits_NM = np.stack([one.logits_N(name, seeds) for one in trained.values()], axis=1)
        found[name] = (rows.select(columns[:2]).rename_columns(["id", "time"]), rows["label"].to_numpy(), logits_NM)
    return found


def _say(trained: dict[str, Trained], chosen: Mixture) -> None:
    shares = [f"{family} {weight:.3g}" for family, weight in zip(trained, chosen.weights, strict=True)]
    say(f"  mixture: {', '.join(shares)}")
    for method, figures in chosen.assessed.items():
        say(f"  calibration {method}: {', '.join(f'{name} {value:.5f}' for name, value in figures.items())}")


def _write_models(stage: Stage, trained: dict[str, Trained]) -> None:
    for family, one in trained.items():
        for (fold, seed), fitted in one.fits.items():
            if fold.startswith(protocol.TEST):
                stage.write_bytes(f"{family}/{fold}-seed{seed}.native", fitted.model)
                stage.write_bytes(f"{family}/{fold}-seed{seed}.onnx", fitted.onnx)


def _write_tables(stage: Stage, trained: dict[str, Trained], selected: dict[str, Any]) -> None:
    tables = {"history": pa.Table.from_pylist(_history(trained))}
    for family, one in trained.items():
        tables |= {f"segment-{family}-{attempt:04}": segment for attempt, segment in one.segments.items()}
    for fold, (rows, label_N, logits_NM) in selected.items():
        members = dict(zip(trained, logits_NM.T, strict=True))
        tables[f"validation-{fold}"] = pa.table({"id": rows["id"], "time": rows["time"], "label": label_N, **members})
    stage.files += [write_table(stage.store.fs, stage.folder, table, name) for name, table in tables.items()]


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
    door.main(shown, __doc__)
