"""What is planned before a worker starts: which rows, which fits, and what the workers of a family are told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc
import ray

from workbench.config import ScalingConfig, TrainConfig
from workbench.digest import digest, sha256
from workbench.models import inputs
from workbench.models.composition import NAME, Anomaly
from workbench.training.encode import encoded, encoding_of, vocabularies_of
from workbench.training.fits import SCORED, Fit, Fold
from workbench.training.gather import Gathered
from workbench.training.sampling import thinned

VERSION = 3  # of the loops: checkpoints of another version are refused


def chosen(folds: Sequence[Fold]) -> dict[str, pc.Expression]:
    """The rows of every fold and, beside them, those that it is scored on."""
    scored = {fold.name + SCORED: fold.score for fold in folds if fold.score is not None}
    return {fold.name: fold.train for fold in folds} | scored


def anomaly_features(cfg: TrainConfig) -> list[str]:
    """The unsupervised families whose scores are inputs of others."""
    asked = [getattr(getattr(cfg, family), "anomaly_feature", None) for family in cfg.families]
    return sorted({family for family in asked if family})


def fits_of(hyper: Any, folds: Sequence[Fold], seeds: Sequence[int]) -> list[Fit]:
    """The fits of a family: first those that select the number of steps, then the others."""
    own = seeds if hyper.by_chance else seeds[:1]
    fits = [Fit(fold.name, seed, fold.score is not None) for fold in folds for seed in own]
    return sorted(fits, key=lambda fit: not fit.selects)


def taken(hyper: Any, rows: Mapping[str, Gathered], folds: Iterable[str]) -> dict[str, Gathered]:
    """The rows that a family trains on in each fold: without the negatives that it leaves out."""
    share = hyper.negative_share if hyper.supervised else 1
    return {fold: thinned(rows[fold], share) for fold in folds}


def config_of(
    hyper: Any,
    fits: list[Fit],
    folds: Mapping[str, Gathered],
    scaling: ScalingConfig,
    anomalies: Mapping[str, Anomaly] | None = None,
) -> dict[str, Any]:
    """What the workers of a family are told."""
    of_all, added = next(iter(folds.values())).names, [NAME] if anomalies else []
    width = len(of_all) + len(added)
    names = [*inputs.names_of(hyper, of_all), *added]
    places = [*inputs.places_of(hyper, of_all), *range(len(of_all), width)]
    config = {"fits": fits, "hyper": hyper, "gpu": scaling.gpus_per_worker > 0, "threads": _threads(scaling)}
    config |= {"names": names, "places": places, "width": width, "anomalies": dict(anomalies or {})}
    config |= {"rows": {name: fold.rows for name, fold in folds.items()}}
    if not hyper.encoded:
        return config
    return config | _prepared(hyper, folds, names, config["anomalies"]) | {"epochs": hyper.epochs}


def _prepared(
    hyper: Any, folds: Mapping[str, Gathered], names: Sequence[str], anomalies: Mapping[str, Anomaly]
) -> dict[str, Any]:
    """For each fold the encoding of a network's inputs and the vocabularies of its embeddings, one task each."""
    task, of = ray.remote(num_cpus=0), encoded(hyper, names)  # a trial that waits for them holds a CPU
    encode, learn = task(encoding_of), task(vocabularies_of)
    encodings = [encode.remote(fold, hyper.bins, hyper.leaves, of, anomalies.get(name)) for name, fold in folds.items()]
    vocabularies = [learn.remote(fold, hyper.embedded) for fold in folds.values()] if hyper.embedded else []
    known = dict(zip(folds, ray.get(vocabularies) or [{}] * len(folds), strict=True))
    return {"encodings": dict(zip(folds, ray.get(encodings), strict=True)), "vocabularies": known}


def _threads(scaling: ScalingConfig) -> int:
    """How many threads a worker computes with: one for each whole CPU that it reserves."""
    return max(1, int(scaling.cpus_per_worker))


def digest_of(config: Mapping[str, Any], rows: Mapping[str, Gathered], scaling: ScalingConfig) -> str:
    """The digest of what the fits of a family depend on."""
    counts = {name: (one.rows, one.classes) for name, one in rows.items()}
    anomalies = {fold: sha256(one.onnx) for fold, one in config["anomalies"].items()}
    device = ["gpu"] if config["gpu"] else []  # it sums in another order
    return digest(VERSION, config["fits"], config["hyper"], counts, anomalies, scaling.workers, *device)
