"""Make a judged run a model version: a signed bundle that was re-scored before it was accepted.

Reads:  run; evaluation; feature snapshot
Writes: model version: model.onnx, native members, feature definitions, reference profile, card, signature
Run:    python -m workloads.register register.minimum_average_precision=0.6
"""

import dataclasses
import json
from typing import Any

import numpy as np
import pyarrow.compute as pc

from workbench import cluster, tracking
from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import ConfigError
from workbench.evaluation import importance, metrics, protocol
from workbench.features.definitions import FeatureSet
from workbench.features.timeline import micros
from workbench.feedback import drift, shapes
from workbench.governance.keys import Keys
from workbench.models import bundle, graph, inputs, native, runs
from workbench.models.scorer import Scorer
from workbench.progress import say
from workbench.release import choosing, gates, threshold
from workloads import door, evaluate, featurize, train

VERSION = 6


def key(cfg: Config) -> str:
    """The model version."""
    return digest("register", VERSION, evaluate.key(cfg), cfg.register)


def run(cfg: Config) -> Artifact:
    """The signed version; raises `GateRefused` with every reason when it must not become one."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("models", name):
        return done
    refuse_many(cfg)
    evaluated, trained, features = evaluate.run(cfg), train.run(cfg), featurize.run(cfg)
    cluster.up(cfg)
    feature_set, judged = FeatureSet.of(cfg.features, cfg.data), evaluate.models(cfg, trained)[0]
    weights = {f: w for f, w in judged.weights.items() if w}  # the others would only cost time
    bags = {f: fits for f, fits in runs.fits(trained, protocol.TEST, judged.seeds).items() if f in weights}
    graphs, natives = runs.graphs(trained, bags), runs.natives(trained, bags)
    weights = {family: weights[family] for family in graphs}
    model = graph.merge(graphs, list(weights.values()), 0.0, len(feature_set.names), judged.calibration)
    tested = _features(cfg, features, protocol.of(cfg, features).test[0].score)
    places = {family: inputs.places_of(getattr(cfg.train, family), feature_set.names) for family in weights}
    rescored, differences = _rescored(model, tested), _differences(cfg, model, natives, places, tested)
    gates.check(cfg.register, evaluate.first_seed(evaluated), rescored, differences)
    decision = threshold.decide(choosing.rows(cfg, trained, features, judged), cfg.register)
    about = {"members": list(weights), "weights": list(weights.values()), "threshold": decision.threshold}
    reference = _reference(cfg, features, model, evaluated) | _inputs(cfg, features, model, tested)
    files = {
        bundle.MODEL: model,
        **{f"members/{family}": content for family, content in natives.items()},
        "features.json": json.dumps(feature_set.to_json(), indent=1).encode(),
        "reference.json": json.dumps(reference).encode(),
        "card.json": json.dumps(_card(cfg, trained, evaluated, about, differences, decision), indent=1).encode(),
    }
    figures, signing = evaluate.shipped(evaluated), Keys(cfg.keys.folder).signing()
    parents = {"run": trained.key, "evaluation": evaluated.key, "features": features.key}
    run_config = {"experiment": cfg.name, "config_digest": digest(cfg.register), **about}
    with tracking.open_run(cfg.tracker, name, "register", run_config) as tracked:
        version = bundle.write(store, name, files, about, signing, parents, figures)
        bundle.open_bundle(version, signing.public_key())  # what was written is what will be loaded
        tracked.summary(figures)
        tracked.artifact(version, "model", whole=True)
    say(f"  version {name}: {', '.join(f'{family} {weight:g}' for family, weight in weights.items())}")
    return version


def refuse_many(cfg: Config) -> None:
    """Raise `ConfigError` where the protocol refits the models for every fold."""
    if cfg.evaluate.protocol != "split":
        raise ConfigError(
            f"evaluate.protocol={cfg.evaluate.protocol} judges many models; register takes one. Use"
            " evaluate.protocol=split (experiment=payments has it)."
        )


def _features(cfg: Config, features: Artifact, rows: Any) -> dict[str, Any]:
    """Feature matrix, labels, times and cards of some rows, in the order of their ids."""
    names, card = FeatureSet.of(cfg.features, cfg.data).names, cfg.data.split.exclude_known
    columns = [cfg.data.id, cfg.data.event_time, "label", *([card] if card else []), *names]
    table = featurize.table(features, columns, rows & pc.is_valid(pc.field("label")))
    return {
        "x": np.stack([table[name].to_numpy() for name in names], axis=1),
        "label": table["label"].to_numpy(),
        "time": micros(table[cfg.data.event_time]),
        "card": table[card].to_numpy() if card else None,
    }


def _rescored(model: bytes, tested: dict[str, Any]) -> dict[str, float | None]:
    """The figures of the very bytes that will be shipped."""
    logit_N = Scorer(model).score(tested["x"]).logit_N
    return metrics.figures(tested["label"], logit_N, tested["time"], tested["card"])


def _differences(
    cfg: Config, model: bytes, natives: dict[str, bytes], places: dict[str, list[int]], tested: dict[str, Any]
) -> dict[str, float]:
    """For each member the largest difference of its probability from its framework's own; of a bag, from their mean."""
    x_NF = tested["x"][: cfg.register.parity_rows].astype(np.float32)
    ours, theirs = Scorer(model).score(x_NF).member_logits_NM.T, native.logits(natives, x_NF, places)
    families = dict.fromkeys(name.partition("/")[0] for name in natives)
    return {
        family: float(np.abs(_probability(logit_N) - _probability(_mean(theirs, family))).max())
        for family, logit_N in zip(families, ours, strict=True)
    }


def _mean(theirs: dict[str, np.ndarray], family: str) -> np.ndarray:
    """The mean log-odds of a family's fits."""
    return np.mean([logit_N for name, logit_N in theirs.items() if name.partition("/")[0] == family], axis=0)


def _probability(logit_N: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit_N.astype(np.float64)))


def _reference(cfg: Config, features: Artifact, model: bytes, evaluated: Artifact) -> dict[str, Any]:
    """What the training rows and their scores look like, and what the model promised: monitoring compares with it."""
    names = FeatureSet.of(cfg.features, cfg.data).names
    rows = protocol.of(cfg, features).test[0].train
    table = featurize.table(features, [cfg.data.id, *names], rows).drop_columns([cfg.data.id])
    x_NF = np.stack([table[name].to_numpy() for name in names], axis=1)
    table = table.append_column("score", [Scorer(model).score(x_NF).score_N])
    return {
        "profile": drift.profile(table, [*names, "score"]),
        "shapes": shapes.profile(table, names),
        "figures": evaluate.first_seed(evaluated),
        "intervals": evaluated.read_json("intervals.json")["ensemble"],
    }


def _inputs(cfg: Config, features: Artifact, model: bytes, tested: dict[str, Any]) -> dict[str, Any]:
    """What a catalogue says of the features besides: how much rests on each, and how often its source has no value."""
    feature_set = FeatureSet.of(cfg.features, cfg.data)
    falls = importance.permuted(Scorer(model), tested["x"], tested["label"])
    events = Store(cfg.storage.root).get("validated", features.manifest["parents"]["validated"])
    nulls = {name: snapshots.read(events, [name])[name].null_count for name in sorted(feature_set.columns)}
    return {
        "importance": dict(zip(feature_set.names, falls, strict=True)),
        "source_missing": {name: count / max(events.rows, 1) for name, count in nulls.items()},
    }


def _card(
    cfg: Config,
    trained: Artifact,
    evaluated: Artifact,
    about: dict[str, Any],
    differences: dict[str, float],
    decision: threshold.Decision,
) -> dict[str, Any]:
    return {
        "experiment": cfg.name,
        "data": cfg.data.name,
        "split": trained.manifest["config"]["folds"],
        "steps": trained.manifest["steps"],
        "validation": trained.figures,
        "test": evaluate.shipped(evaluated),
        "intervals_95": evaluated.read_json("intervals.json"),
        "largest_difference_to_framework": differences,
        "decision": {**dataclasses.asdict(decision), "rows": "validation"},
        "calibration": trained.manifest["calibration"],
        "calibration_test": evaluated.read_json("calibration.json"),
        "seeds": cfg.train.seeds if cfg.train.ensemble.bagged else cfg.train.seeds[:1],
        "code": trained.manifest["code"],
        **about,
    }


if __name__ == "__main__":
    door.main(run, __doc__)
