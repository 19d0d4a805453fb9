"""Would more data help? Train and judge on growing shares of the training rows, and look ahead by a fitted law.

Reads:  feature snapshot; a run and an evaluation for each share, which it makes where they are lacking
Writes: learning curve: learning.html, learning.json
Run:    python -m workloads.learning_curve evaluate.learning_curve.shares=[0.125,0.25,0.5,1.0]
"""

import dataclasses
from typing import Any

import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.evaluation import growth, protocol, side_by_side
from workbench.evaluation.growth import Point
from workbench.evaluation.scored import Scored
from workbench.progress import say
from workbench.report import judged
from workloads import door, evaluate, featurize

VERSION = 1


def key(cfg: Config) -> str:
    """The name of the learning curve."""
    evaluations = [evaluate.key(one) for one in each(cfg)]
    return digest("learning_curve", VERSION, evaluations, cfg.evaluate.learning_curve.ahead)


def each(cfg: Config) -> list[Config]:
    """The same config for each share of the training rows."""
    shares = cfg.evaluate.learning_curve.shares
    judgements = [dataclasses.replace(cfg.evaluate, train_share=share) for share in shares]
    return [dataclasses.replace(cfg, evaluate=one) for one in judgements]


def run(cfg: Config) -> Artifact:
    """The finished learning curve; its figures are each model's with all of the rows."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("learning_curves", name):
        return done
    points = [_point(one) for one in each(cfg)]
    judgement = cfg.evaluate
    by_customer = judgement.resample == "customers"
    found = growth.curves(points, judgement.bootstrap_samples, by_customer, judgement.learning_curve.ahead)
    about = {
        "experiment": cfg.name,
        "newest": cfg.data.split.kind == "time",
        "scored": sum(map(len, points[-1].folds)),
        "shares": [_told(point) for point in points],
        **found,
    }
    stage = store.stage("learning_curves", name)
    stage.write_json("learning.json", about)
    stage.write_bytes("learning.html", judged.learning(about).encode())
    parents = {f"evaluation {one.evaluate.train_share:g}": evaluate.key(one) for one in each(cfg)}
    return stage.commit(parents, cfg.evaluate.learning_curve, points[-1].figures)


def shown(cfg: Config) -> Artifact:
    """The finished learning curve, its verdict printed."""
    artifact = run(cfg)
    say(f"{artifact.read_json('learning.json')['verdict']}\nlearning curve: {artifact.uri}/learning.html")
    return artifact


def _point(cfg: Config) -> Point:
    """One share, trained and judged."""
    say(f"  share {cfg.evaluate.train_share:g} of the training rows")
    evaluation, features = evaluate.run(cfg), featurize.run(cfg)
    folds = [fold for one in protocol.each(cfg) for fold in protocol.of(one, features).test]
    labelled = [snapshots.read(features, ["label"], fold.train & pc.is_valid(pc.field("label"))) for fold in folds]
    rows = sum(one.num_rows for one in labelled) // len(labelled)
    positives = sum(pc.sum(one["label"]).as_py() or 0 for one in labelled) // len(labelled)
    return Point(cfg.evaluate.train_share, rows, positives, evaluation.figures, _scored(evaluation))


def _scored(evaluation: Artifact) -> list[Scored]:
    """The rows that the evaluation kept, with every model's score."""
    about = evaluation.read_json(side_by_side.CARD)
    sides = [side_by_side.Side(evaluation, model, about, model) for model in evaluation.figures]
    return side_by_side.common(sides)[0]


def _told(point: Point) -> dict[str, Any]:
    return {"share": point.share, "rows": point.rows, "positives": point.positives, "figures": point.figures}


if __name__ == "__main__":
    door.main(shown, __doc__)
