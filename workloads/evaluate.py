"""Judge a run once, on rows that chose nothing: every member and the ensemble, beside the published figures.

Reads:  run; feature snapshot
Writes: evaluation: figures per model, per fold and seed, bootstrap intervals, calibration, scored rows, pictures
Run:    python -m workloads.evaluate experiment=published
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from workbench import cluster
from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.evaluation import metrics, plots, protocol, published, reliability, scored
from workbench.evaluation.scored import ENSEMBLE, Model, Scored
from workbench.features.definitions import FeatureSet
from workbench.features.timeline import micros
from workbench.models import runs
from workbench.models.calibration import of_json
from workbench.progress import say
from workloads import door, featurize, train

VERSION = 5


def key(cfg: Config) -> str:
    """The name of the evaluation."""
    return digest("evaluate", VERSION, train.key(cfg), inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What an evaluation depends on besides the run, and a model's reference intervals with it.

    The folds are the run's. The published figures only stand beside ours: they are in no key.
    """
    return {"bootstrap_samples": cfg.evaluate.bootstrap_samples}


def run(cfg: Config) -> Artifact:
    """The finished evaluation."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("evaluations", name):
        return done
    trained, features = train.run(cfg), featurize.run(cfg)
    cluster.up(cfg)
    scored = _scored(cfg, trained, features)
    rows = [row for one in scored for row in _judged(cfg, one, models(cfg, trained))]
    stage = store.stage("evaluations", name)
    stage.files = [write_table(store.fs, stage.folder, _kept(one), one.fold) for one in scored]
    stage.write_json("folds.json", rows)
    stage.write_json("intervals.json", _intervals(scored, cfg.evaluate.bootstrap_samples))
    stage.write_json("calibration.json", _reliability(scored))
    stage.write_bytes("curves.svg", plots.curves(scored[-1].label_N, scored[-1].logits[0]))
    stage.write_bytes("reliability.svg", plots.reliability(scored[-1].label_N, _probabilities(scored[-1])))
    return stage.commit({"run": trained.key, "features": features.key}, inputs(cfg), _means(rows))


def shown(cfg: Config) -> Artifact:
    """The finished evaluation, its table printed."""
    artifact = run(cfg)
    say(table(artifact, published.table(cfg.evaluate.published)))
    return artifact


def table(artifact: Artifact, beside: published.Figures) -> str:
    """Ours and the published figures, one line each."""
    lines = [f"{'':32}{'AUC ROC':>9}{'AP':>9}{'CP@100':>9}"]
    for name, figures in artifact.figures.items():
        lines.append(f"{name:32}" + "".join(f"{'-' if v is None else format(v, '.3f'):>9}" for v in figures.values()))
    for name, values in beside.items():
        lines.append(f"{'published ' + name:32}" + "".join(f"{value:9.3f}" for value in values))
    lines.append(f"{'the scores as probabilities':32}{'Brier':>9}{'log loss':>9}{'ECE':>9}")
    for name, honest in artifact.read_json("calibration.json").items():
        lines.append(f"{name:32}" + "".join(f"{value:9.5f}" for value in honest.values()))
    return "\n".join(lines)


def models(cfg: Config, trained: Artifact) -> list[Model]:
    """What is judged, the one that can be registered first: a mixture per seed, or one of the means of all seeds."""
    weights, calibration = trained.manifest["weights"], of_json(trained.manifest["calibration"])
    seeds = cfg.train.seeds
    if cfg.train.ensemble.bagged:
        return [Model("all", seeds, weights, calibration)]
    return [Model(seed, [seed], weights, calibration) for seed in seeds]


def member_graphs(trained: Artifact, fold: str, seed: int) -> dict[str, bytes]:
    """The ONNX members of a fold and seed; a family with one seed for all gives that one."""
    return runs.graphs(trained, runs.fits(trained, fold, [seed]))


def first_seed(evaluated: Artifact) -> dict[str, float | None]:
    """The ensemble's figures with the first seed: those of the model that can be registered."""
    rows = evaluated.read_json("folds.json")
    found = next(row for row in rows if row["model"] == "ensemble")  # they lie seed by seed
    return {name: found[name] for name in metrics.NAMES}


def _scored(cfg: Config, trained: Artifact, features: Artifact) -> list[Scored]:
    """Every test fold's rows under every model, with their times and cards."""
    card = cfg.data.split.exclude_known
    about = [cfg.data.id, cfg.data.event_time, "label", *([card] if card else [])]
    names = FeatureSet.of(cfg.features, cfg.data).names
    folds = protocol.of(cfg, features).test
    return scored.score(features, trained, folds, about, names, models(cfg, trained))


def _kept(one: Scored) -> pa.Table:
    """The rows with the log-odds and the score of the first model."""
    logits = {f"logit_{model}": pa.array(values) for model, values in one.logits[0].items()}
    columns = dict(zip(one.table.column_names, one.table.columns, strict=True))
    return pa.table({**columns, **logits, "score": one.score[0]})


def _judged(cfg: Config, one: Scored, judged: list[Model]) -> Iterator[dict[str, Any]]:
    card, time_N = cfg.data.split.exclude_known, micros(one.table[cfg.data.event_time])
    card_N = one.table[card].to_numpy() if card else None
    for model, by_member in zip(judged, one.logits, strict=True):
        for member, logit_N in by_member.items():
            figures = metrics.figures(one.label_N, logit_N, time_N, card_N)
            yield {"fold": one.fold, "seed": model.name, "model": member, **figures}


def _probabilities(one: Scored) -> dict[str, np.ndarray]:
    """The ensemble's probabilities as they are mixed and, where it is calibrated, as they are served."""
    mixed_N, served_N = expit(one.logits[0][ENSEMBLE].astype(np.float64)), one.score[0].astype(np.float64)
    same = np.allclose(mixed_N, served_N, rtol=0, atol=1e-6)
    return {ENSEMBLE: mixed_N} if same else {ENSEMBLE: mixed_N, f"{ENSEMBLE}, calibrated": served_N}


def _reliability(scored: list[Scored]) -> dict[str, dict[str, float]]:
    """How far each model's probabilities can be taken at their word: means over the folds, of the first model."""
    found: dict[str, list[dict[str, float]]] = {}
    for one in scored:
        members = {name: expit(logit_N.astype(np.float64)) for name, logit_N in one.logits[0].items()}
        for name, probability_N in {**members, **_probabilities(one)}.items():
            found.setdefault(name, []).append(reliability.figures(one.label_N, probability_N))
    return {
        model: {name: float(np.mean([fold[name] for fold in folds])) for name in folds[0]}
        for model, folds in found.items()
    }


def _means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Each model's figures, the mean over folds and seeds."""
    figures: dict[str, dict[str, float | None]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        figures[model] = {
            name: None if own[0][name] is None else float(np.mean([row[name] for row in own])) for name in metrics.NAMES
        }
    return figures


def _intervals(scored: list[Scored], samples: int) -> dict[str, dict[str, list[float]]]:
    """95 % intervals of average precision and AUC for each model, means over the folds, by resampled rows."""
    intervals = {}
    for model in scored[0].logits[0]:
        folds = [(one.label_N, one.logits[0][model]) for one in scored]
        intervals[model] = {name: list(ends) for name, ends in metrics.intervals(folds, samples).items()}
    return intervals


if __name__ == "__main__":
    door.main(shown, __doc__)
