"""Judge a run once, on rows that chose nothing: every member and the ensemble, beside the published figures.

Reads:  run (of kfold: one for each fold); feature snapshot; validated snapshot; label ledger
Writes: evaluation: figures per model, per fold and seed, calibration, scored rows, and the run's card (card.html,
        card.json): intervals, paired tests, slices, costs, curves
Run:    python -m workloads.evaluate experiment=published
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from workbench import cluster
from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.evaluation import card as run_card
from workbench.evaluation import context, metrics, operating, plots, protocol, published, reliability, scoring
from workbench.evaluation.scored import Scored
from workbench.evaluation.scoring import ENSEMBLE, Model, ScoredFold
from workbench.features.definitions import FeatureSet
from workbench.features.timeline import micros
from workbench.models.calibration import of_json
from workbench.progress import say
from workbench.release import choosing, threshold
from workbench.report import judged as pages
from workloads import door, featurize, train

VERSION = 7
Figures = dict[str, dict[str, float | None]]  # of each model


def key(cfg: Config) -> str:
    """The name of the evaluation."""
    return digest("evaluate", VERSION, [train.key(one) for one in protocol.each(cfg)], inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What an evaluation depends on besides the run, and a model's reference intervals with it.

    The folds are the run's. The published figures only stand beside ours: they are in no key.
    """
    judged, registered = cfg.evaluate, cfg.register
    drawn = {"bootstrap_samples": judged.bootstrap_samples, "resample": judged.resample}
    flagged = {"flagged_share": registered.flagged_share, "threshold": registered.threshold}
    return {**drawn, **flagged, "slices": judged.slices, "costs": judged.costs}


def run(cfg: Config) -> Artifact:
    """The finished evaluation."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("evaluations", name):
        return done
    trained, features = {train.key(one): train.run(one) for one in protocol.each(cfg)}, featurize.run(cfg)
    cluster.up(cfg)
    judged = [_judgement(one, trained[train.key(one)], features) for one in protocol.each(cfg)]
    scored = [fold for one in judged for fold in one.folds]
    rows = [row for one in judged for fold in one.folds for row in _figures(cfg, fold, one.models)]
    stage = store.stage("evaluations", name)
    stage.files = [write_table(store.fs, stage.folder, _kept(one), one.fold) for one in scored]
    stage.write_json("folds.json", rows)
    folds = [_rows(cfg, fold, one) for one in judged for fold in one.folds]
    about = run_card.of(cfg, list(trained.values()), features, folds, _means(rows))
    stage.write_json("card.json", about)
    stage.write_json("intervals.json", about["intervals"])
    stage.write_json("calibration.json", _reliability(scored))
    stage.write_bytes("curves.svg", plots.curves(folds[-1].label_N, folds[-1].scores))
    stage.write_bytes("reliability.svg", plots.reliability(scored[-1].label_N, _probabilities(scored[-1])))
    stage.write_bytes("card.html", pages.card(name, about, folds).encode())
    return stage.commit(_parents(list(trained), features), inputs(cfg), _means(rows))


def shown(cfg: Config) -> Artifact:
    """The finished evaluation, its table printed."""
    artifact = run(cfg)
    say(table(artifact, published.table(cfg.evaluate.published)))
    say(f"card of the run: {artifact.uri}/card.html")
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


def shipped(evaluated: Artifact) -> Figures:
    """The figures of what can be registered, member by member: those of the first seed, or of the means of all seeds.

    What an evaluation gives as its figures are means over all seeds' models, of which only these are in a version.
    """
    rows = evaluated.read_json("folds.json")
    return _means([row for row in rows if row["seed"] == rows[0]["seed"]])  # they lie seed by seed


def first_seed(evaluated: Artifact) -> dict[str, float | None]:
    """The ensemble's figures with the first seed: those of the model that can be registered."""
    return shipped(evaluated)[ENSEMBLE]


@dataclass(frozen=True)
class _Judgement:
    """A run's models (the one that can be registered first), their test folds' rows, and from where on each flags."""

    models: list[Model]
    folds: list[ScoredFold]
    limits: dict[str, float]  # of the members in log-odds, of the ensemble as a score


def _judgement(cfg: Config, trained: Artifact, features: Artifact) -> _Judgement:
    customer = context.customer(cfg.data)
    about = [cfg.data.id, cfg.data.event_time, "label", *([customer] if customer else [])]
    names, judged = FeatureSet.of(cfg.features, cfg.data).names, models(cfg, trained)
    folds = scoring.score(features, trained, protocol.of(cfg, features).test, about, names, judged)
    limits = operating.thresholds(trained, cfg.register.flagged_share)
    chosen = threshold.decide(choosing.rows(cfg, trained, features, judged[0]), cfg.register)
    return _Judgement(judged, folds, {**limits, ENSEMBLE: chosen.threshold})


def _kept(one: ScoredFold) -> pa.Table:
    """The rows with the log-odds and the score of the first model."""
    logits = {f"logit_{model}": pa.array(values) for model, values in one.logits[0].items()}
    columns = dict(zip(one.table.column_names, one.table.columns, strict=True))
    return pa.table({**columns, **logits, "score": one.score[0]})


def _figures(cfg: Config, one: ScoredFold, judged: list[Model]) -> Iterator[dict[str, Any]]:
    card, time_N = cfg.data.split.exclude_known, micros(one.table[cfg.data.event_time])
    card_N = one.table[card].to_numpy() if card else None
    for model, by_member in zip(judged, one.logits, strict=True):
        for member, logit_N in by_member.items():
            figures = metrics.figures(one.label_N, logit_N, time_N, card_N)
            yield {"fold": one.fold, "seed": model.name, "model": member, **figures}


def _probabilities(one: ScoredFold) -> dict[str, np.ndarray]:
    """The ensemble's probabilities as they are mixed and, where it is calibrated, as they are served."""
    mixed_N, served_N = expit(one.logits[0][ENSEMBLE].astype(np.float64)), one.score[0].astype(np.float64)
    same = np.allclose(mixed_N, served_N, rtol=0, atol=1e-6)
    return {ENSEMBLE: mixed_N} if same else {ENSEMBLE: mixed_N, f"{ENSEMBLE}, calibrated": served_N}


def _reliability(scored: list[ScoredFold]) -> dict[str, dict[str, float]]:
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


def _means(rows: list[dict[str, Any]]) -> Figures:
    """Each model's figures, the mean over folds and seeds."""
    figures: Figures = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        figures[model] = {
            name: None if own[0][name] is None else float(np.mean([row[name] for row in own])) for name in metrics.NAMES
        }
    return figures


def _rows(cfg: Config, one: ScoredFold, judged: _Judgement) -> Scored:
    """What the judgements of a run's card look at: the first model's log-odds, the ensemble's as calibrated."""
    logits, curve, customer = one.logits[0], judged.models[0].calibration, context.customer(cfg.data)
    flagged = {name: logit_N >= judged.limits[name] for name, logit_N in logits.items() if name != ENSEMBLE}
    served_N = logits[ENSEMBLE] if curve is None else curve.logit(logits[ENSEMBLE])
    return Scored(
        one.fold,
        one.table[cfg.data.id].to_numpy(),
        one.label_N,
        micros(one.table[cfg.data.event_time]),
        one.table[customer].to_numpy() if customer else None,
        {**logits, ENSEMBLE: served_N},
        {**flagged, ENSEMBLE: one.score[0] >= judged.limits[ENSEMBLE]},
        cfg.data.split.exclude_known is not None,
    )


def _parents(runs: list[str], features: Artifact) -> dict[str, str]:
    """The run, or the runs of `kfold` by their fold."""
    named = {"run": runs[0]} if len(runs) == 1 else {f"run {fold}": run for fold, run in enumerate(runs)}
    return {**named, "features": features.key}


if __name__ == "__main__":
    door.main(shown, __doc__)
