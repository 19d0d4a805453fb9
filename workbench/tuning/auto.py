"""What `tune=auto` decides by itself: which families suit a data set, and which of the tuned ones go into the stack."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.config import Config, ScalingConfig
from workbench.decisions import EnsembleConfig
from workbench.progress import say
from workbench.training import ensemble
from workbench.training.fits import Fit, Fitted
from workbench.training.gather import Gathered
from workbench.tuning import alone
from workbench.tuning.space import Space

FEWEST_OF_NETWORKS = 2_000  # training rows; of fewer a network learns less than trees and takes as long


def fitting(cfg: Config, space: Space, rows: int) -> Space:
    """The space without families that do not suit so many training rows; of one family, or by hand, as it is."""
    if not cfg.tune.challenge or not space.families[1:]:
        return space
    out = {}
    for family in space.families:
        hyper = getattr(cfg.train, family)
        if hyper.alone and rows > cfg.tune.rows_per_family:
            out[family] = f"one process would hold {rows:,} rows; tune.rows_per_family={cfg.tune.rows_per_family:,}"
        elif hyper.encoded and rows < FEWEST_OF_NETWORKS:
            out[family] = f"{rows:,} rows are few for a network"
    for family, why in out.items():
        say(f"  without {family}: {why}")
    return replace(space, families=tuple(one for one in space.families if one not in out) or space.families[:1])


def members(
    selected: Mapping[str, Mapping[tuple[str, int], Fitted]],
    labels: Sequence[np.ndarray],
    families: Sequence[str],
    cfg: EnsembleConfig,
) -> list[str]:
    """The families that pay in a stack on the selecting folds, in their order; all where weights are equal."""
    names = list(dict.fromkeys(fold for fold, _ in selected[families[0]]))
    folds = []
    for name, label_N in zip(names, labels, strict=True):
        found = [[fit.logits_SN[-1] for (fold, _), fit in selected[one].items() if fold == name] for one in families]
        logits = [np.mean(seeds if cfg.bagged else seeds[:1], axis=0) for seeds in found]
        folds.append((label_N, np.stack(logits, axis=1)))
    weights = ensemble.weights(folds, cfg)
    return [family for family, weight in zip(families, weights, strict=True) if weight > 0]


def upto(fitted: Fitted, step: int) -> Fitted:
    """The fit with its history up to a step: what one with so many rounds would have given."""
    end = fitted.steps.index(step) + 1
    return replace(
        fitted,
        steps=fitted.steps[:end],
        average_precision=fitted.average_precision[:end],
        train_loss=fitted.train_loss[:end],
    )


def fit_on(
    family: str, hyper: Any, fits: list[Fit], rows: Mapping[str, Gathered], steps: int, having: ScalingConfig
) -> dict[tuple[str, int], Fitted]:
    """Fits without a choice, for so many steps, in the process at hand."""
    found = alone.fit(family, hyper, fits, rows, lambda _: True, steps, having=having)
    return {(one.fold, one.seed): found[one.name] for one in fits}
