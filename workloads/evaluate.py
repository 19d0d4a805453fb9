"""Judge a run once, on rows that chose nothing: every member and the ensemble, beside the published figures.

Reads:  run (of kfold: one for each fold); feature snapshot; validated snapshot; label ledger
Writes: evaluation: figures per model, per fold and seed, scored rows, and the run's card (card.html, card.json):
        intervals, paired tests, slices, costs, curves
Run:    python -m workloads.evaluate experiment=published
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config
from workbench.data.parquet import write_table
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.evaluation import card as run_card
from workbench.evaluation import context, metrics, operating, plots, protocol, published
from workbench.evaluation.scored import Scored
from workbench.features.definitions import FeatureSet
from workbench.features.timeline import micros
from workbench.models import graph
from workbench.models.scorer import Scorer
from workbench.progress import say
from workbench.report import judged as pages
from workbench.training.fits import Fold
from workloads import door, featurize, train

VERSION = 5


def key(cfg: Config) -> str:
    """The name of the evaluation."""
    return digest("evaluate", VERSION, [train.key(one) for one in protocol.each(cfg)], inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What an evaluation depends on besides the run, and a model's reference intervals with it.

    The folds are the run's. The published figures only stand beside ours: they are in no key.
    """
    judged, flagged = cfg.evaluate, cfg.register.flagged_share
    drawn = {"bootstrap_samples": judged.bootstrap_samples, "resample": judged.resample}
    return {**drawn, "slices": judged.slices, "costs": judged.costs, "flagged_share": flagged}


def run(cfg: Config) -> Artifact:
    """The finished evaluation."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("evaluations", name):
        return done
    trained, features = {train.key(one): train.run(one) for one in protocol.each(cfg)}, featurize.run(cfg)
    scored = [
        _score_fold(one, trained[train.key(one)], features, fold)
        for one in protocol.each(cfg)
        for fold in protocol.of(one, features).test
    ]
    rows = [row for one in scored for row in _judged(one, cfg.train.seeds)]
    stage = store.stage("evaluations", name)
    stage.files = [write_table(store.fs, stage.folder, one["table"], one["fold"]) for one in scored]
    stage.write_json("folds.json", rows)
    folds = [_rows(one) for one in scored]
    about = run_card.of(cfg, list(trained.values()), features, folds, _means(rows))
    stage.write_json("card.json", about)
    stage.write_json("intervals.json", about["intervals"])
    stage.write_bytes("curves.svg", plots.curves(folds[-1].label_N, folds[-1].scores))
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
    return "\n".join(lines)


def member_graphs(trained: Artifact, fold: str, seed: int) -> dict[str, bytes]:
    """The ONNX members of a fold and seed; a family with one seed for all gives that one."""
    names = [name for name in trained.manifest["blobs"] if name.endswith(".onnx") and f"/{fold}-seed" in name]
    families = dict.fromkeys(name.split("/")[0] for name in names)
    wanted = {family: f"{family}/{fold}-seed{seed}.onnx" for family in families}
    only = {family: next(name for name in names if name.startswith(f"{family}/")) for family in families}
    return {f: trained.read_bytes(w if w in names else only[f]) for f, w in wanted.items()}


def first_seed(evaluated: Artifact) -> dict[str, float | None]:
    """The ensemble's figures with the first seed: those of the model that can be registered."""
    rows = evaluated.read_json("folds.json")
    found = next(row for row in rows if row["model"] == "ensemble")  # they lie seed by seed
    return {name: found[name] for name in metrics.NAMES}


def _score_fold(cfg: Config, trained: Artifact, features: Artifact, fold: Fold) -> dict[str, Any]:
    """The scored rows of one fold: labels, times, cards, and for every seed the scores of every model."""
    assert fold.score is not None
    names, card = FeatureSet.of(cfg.features, cfg.data).names, cfg.data.split.exclude_known
    customer = context.customer(cfg.data)
    columns = [cfg.data.id, cfg.data.event_time, "label", *([customer] if customer else []), *names]
    rows = featurize.table(features, columns, fold.score & pc.is_valid(pc.field("label")))
    x_NF = np.stack([rows[name].to_numpy() for name in names], axis=1)
    scores = []
    for seed in cfg.train.seeds:
        members = member_graphs(trained, fold.name, seed)
        weights = [trained.manifest["weights"][family] for family in members]
        result = Scorer(graph.merge(members, weights, 0.0, len(names))).score(x_NF)
        by_model = dict(zip(members, result.member_logits_NM.T, strict=True)) | {"ensemble": result.logit_N}
        scores.append(by_model)
    first = {f"logit_{model}": pa.array(values) for model, values in scores[0].items()}
    kept = rows.select(columns[: len(columns) - len(names)])
    return {
        "fold": fold.name,
        "label": rows["label"].to_numpy(),
        "time": micros(rows[cfg.data.event_time]),
        "card": rows[card].to_numpy() if card else None,
        "customer": rows[customer].to_numpy() if customer else None,
        "limits": operating.thresholds(trained, cfg.register.flagged_share),
        "scores": scores,
        "table": pa.table({**dict(zip(kept.column_names, kept.columns, strict=True)), **first}),
    }


def _judged(one: dict[str, Any], seeds: list[int]) -> Iterator[dict[str, Any]]:
    for seed, by_model in zip(seeds, one["scores"], strict=True):
        for model, score_N in by_model.items():
            figures = metrics.figures(one["label"], score_N, one["time"], one["card"])
            yield {"fold": one["fold"], "seed": seed, "model": model, **figures}


def _means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Each model's figures, the mean over folds and seeds."""
    figures: dict[str, dict[str, float | None]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        figures[model] = {
            name: None if own[0][name] is None else float(np.mean([row[name] for row in own])) for name in metrics.NAMES
        }
    return figures


def _rows(one: dict[str, Any]) -> Scored:
    """What the judgements of a run's card look at: the first seed's scores."""
    flagged = {model: score_N >= one["limits"][model] for model, score_N in one["scores"][0].items()}
    ids = one["table"].column(0).to_numpy()
    capacity = one["card"] is not None
    return Scored(one["fold"], ids, one["label"], one["time"], one["customer"], one["scores"][0], flagged, capacity)


def _parents(runs: list[str], features: Artifact) -> dict[str, str]:
    """The run, or the runs of `kfold` by their fold."""
    named = {"run": runs[0]} if len(runs) == 1 else {f"run {fold}": run for fold, run in enumerate(runs)}
    return {**named, "features": features.key}


if __name__ == "__main__":
    door.main(shown, __doc__)
