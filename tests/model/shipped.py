"""The model that the loop shipped, the families that it could be mixed from, and rows that none of them has seen."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tests.loop import commands
from workbench.config import Config
from workbench.data import labels, snapshots
from workbench.data.store import Artifact, Store
from workbench.evaluation import protocol
from workbench.families import XGBoostConfig
from workbench.features import offline
from workbench.features.labels import PositiveIntervals
from workbench.governance.keys import Keys
from workbench.models import graph, runs
from workbench.models.bundle import Bundle, open_bundle
from workbench.models.scorer import Scorer, Scores
from workbench.training.fits import Fit, Rows
from workloads import door, featurize, ingest, register, train, validate

FAMILIES = ("xgboost", "torch_mlp", "keras_mlp")
MODELS = ("shipped", *FAMILIES)
Array = NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A scorer, and what it says of the held-out rows."""

    scorer: Scorer
    x_NF: Array

    @cached_property
    def scores(self) -> Scores:
        return self.scorer.score(self.x_NF)


@dataclass(frozen=True)
class Shipped:
    """What one run of the loop left behind, read back from its folder."""

    folder: Path

    @cached_property
    def cfg(self) -> Config:
        cfg = door.composed([*commands.SMOKE, "tracker=disabled", f"storage.root={self.folder / 'workbench_store'}"])
        cfg.keys.folder = str(self.folder / "workbench_keys")
        return cfg

    @cached_property
    def bundle(self) -> Bundle:
        found = Store(self.cfg.storage.root).get("models", register.key(self.cfg))
        return open_bundle(found, Keys(self.cfg.keys.folder).verifying())

    @cached_property
    def features(self) -> Artifact:
        return Store(self.cfg.storage.root).get("features", featurize.key(self.cfg))

    @cached_property
    def models(self) -> dict[str, Model]:
        """The shipped mixture, and each family alone: the mixture may have left some out."""
        run = Store(self.cfg.storage.root).get("runs", train.key(self.cfg))
        members = runs.graphs(run, runs.fits(run, protocol.TEST, self.cfg.train.seeds[:1]))
        alone = {family: Scorer(graph.merge({family: one}, [1.0], 0.0, self.width)) for family, one in members.items()}
        return {name: Model(one, self.x_NF) for name, one in {"shipped": self.bundle.scorer, **alone}.items()}

    @property
    def names(self) -> list[str]:
        return list(self.bundle.feature_set.names)

    @property
    def width(self) -> int:
        return len(self.names)

    @cached_property
    def held_out(self) -> pa.Table:
        """The rows of all days from the first judged one on, in the order of their ids."""
        split = self.cfg.data.split
        start = dt.date.fromisoformat(str(split.train_start)) + dt.timedelta(split.train_days + split.delay_days)
        since = pc.field(self.cfg.data.event_time) >= protocol.midnight(start)
        return snapshots.read(self.features, rows=since).sort_by(self.cfg.data.id)

    @cached_property
    def x_NF(self) -> Array:
        return np.stack([self.held_out[name].to_numpy() for name in self.names], axis=1)

    @cached_property
    def label_N(self) -> Array:
        return self.held_out["label"].to_numpy()

    def column(self, name: str) -> Array:
        """One feature of the held-out rows."""
        return self.x_NF[:, self.names.index(name)]

    @cached_property
    def events(self) -> pa.Table:
        """All validated events in the order of their ids."""
        found = Store(self.cfg.storage.root).get("validated", validate.key(self.cfg))
        return snapshots.read(found).sort_by(self.cfg.data.id)

    @cached_property
    def ledger(self) -> pa.Table:
        """What the source knows of the labels."""
        return labels.read(Store(self.cfg.storage.root), ingest.key(self.cfg), channel="source")

    def computed(self, events: pa.Table, ledger: pa.Table) -> dict[str, Array]:
        """All features of these events, by name, as they could have been known from this ledger."""
        features, positives = self.bundle.feature_set, PositiveIntervals.of(ledger, self.cfg.data.id)
        found = offline.row_features(features, events)
        for entity in features.entities:
            found |= offline.entity_features(features, entity, events, positives)
        return {name: found[name] for name in features.names}


def trees(x_NF: Array, y_N: Array, cfg: XGBoostConfig, seeds: Sequence[int] = (0,)) -> list[bytes]:
    """Trees by the workbench's own loop, one model a seed; to be called in a process that has no other framework."""
    from workbench.training import xgboost

    rows, config = Rows(x_NF.astype(np.float32), y_N.astype(np.float32)), {"hyper": cfg, "gpu": False, "threads": 1}
    fits = [Fit("alone", seed, selects=False) for seed in seeds]
    return [xgboost.loop(rows, None, cfg.rounds, fit, config, None, lambda *_: None).model for fit in fits]
