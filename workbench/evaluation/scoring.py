"""The scored rows of some folds under some models: read by a task per fold, scored by a task per fold and model.

A model is a mixture of a run's members; tasks read its graphs from the store themselves. Shapes: N rows, F features.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from numpy.typing import NDArray

from workbench.data import snapshots
from workbench.data.store import Artifact
from workbench.errors import InputError, raise_all
from workbench.models import graph, runs
from workbench.models.calibration import Calibration
from workbench.models.scorer import Scorer
from workbench.training.fits import Fold

Array = NDArray[Any]
ENSEMBLE = "ensemble"
UNJUDGED = "These rows cannot be judged on:"


@dataclass(frozen=True)
class Model:
    """A mixture of the fits of one seed, or of the means of several; `name` stands in tables as its seed."""

    name: int | str
    seeds: Sequence[int]
    weights: Mapping[str, float]
    calibration: Calibration | None


@dataclass(frozen=True)
class ScoredFold:
    """A fold's scored rows: what they are, and by model the log-odds of every member and of the mixture."""

    fold: str
    table: pa.Table
    logits: list[dict[str, Array]]  # a model each
    score: list[Array]  # the probability that each model's mixture gives, calibrated where it is

    @property
    def label_N(self) -> Array:
        """The labels."""
        return self.table["label"].to_numpy()


def check(features: Artifact, folds: Sequence[Fold], remedy: str) -> None:
    """Raise one `InputError` for all folds that nothing can be judged on, before hours are spent on what they judge.

    Nothing of their rows is looked at but how many have a label, and whether these are of both classes.
    """
    counted = ray.remote(_counted)
    faults = ray.get([counted.remote(features, fold, remedy) for fold in folds])
    raise_all(InputError, UNJUDGED, [fault for one in faults for fault in one])


def _counted(features: Artifact, fold: Fold, remedy: str) -> list[str]:
    labelled = fold.score & pc.is_valid(pc.field("label"))
    return list(_faults(fold.name, snapshots.read(features, ["label"], labelled)["label"], remedy))


def _faults(fold: str, labels: pa.ChunkedArray, remedy: str) -> Iterator[str]:
    if (classes := pc.count_distinct(labels).as_py()) < 2:
        yield (
            f"{fold} holds {len(labels)} labelled rows of {classes} class(es) to judge on; figures need both."
            f" {remedy}, or check the labels."
        )


def score(
    features: Artifact, trained: Artifact, folds: Sequence[Fold], about: Sequence[str], names: Sequence[str],
    models: Sequence[Model],
) -> list[ScoredFold]:  # fmt: skip
    """Every fold's rows, in the order of the first of the columns `about`, under every model."""
    read, judge = ray.remote(_read).options(num_returns=2), ray.remote(_judge)
    asked = []
    for fold in folds:
        table, x_NF = read.remote(features, fold, list(about), list(names))
        asked.append((fold.name, table, [judge.remote(trained, fold.name, one, x_NF) for one in models]))
    found = [(name, ray.get(table), ray.get(answers)) for name, table, answers in asked]
    return [ScoredFold(name, table, [one for one, _ in said], [one for _, one in said]) for name, table, said in found]


def _read(features: Artifact, fold: Fold, about: list[str], names: list[str]) -> tuple[pa.Table, Array]:
    """The labelled rows: the columns that say what they are, and the features [N, F]."""
    columns = [*about, *(one for one in names if one not in about)]
    found = snapshots.read(features, columns, fold.score & pc.is_valid(pc.field("label"))).sort_by(about[0])
    raise_all(InputError, UNJUDGED, list(_faults(fold.name, found["label"], "Change data.split")))
    return found.select(about), np.stack([found[name].to_numpy() for name in names], axis=1)


def _judge(trained: Artifact, fold: str, model: Model, x_NF: Array) -> tuple[dict[str, Array], Array]:
    """The log-odds of each member and of the mixture, and the mixture's scores."""
    members = runs.graphs(trained, runs.fits(trained, fold, model.seeds))
    weights = [model.weights[family] for family in members]
    merged = graph.merge(members, weights, 0.0, x_NF.shape[1], model.calibration)
    found = Scorer(merged).score(x_NF)
    return dict(zip(members, found.member_logits_NM.T, strict=True)) | {ENSEMBLE: found.logit_N}, found.score_N
