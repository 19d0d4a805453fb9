"""Which rows train, which select and which judge: the benchmark's blocks of days, or a stratified split.

The blocks follow the published protocol: train for some days, wait for the labels' delay, score the days after. From
the scored rows leave the customers who were known to be defrauded: those of the training block, and for the d-th
scored day those defrauded up to day (end of training + d - 1).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config, SplitConfig
from workbench.data import snapshots
from workbench.data.labels import TIME
from workbench.data.store import Artifact
from workbench.evaluation.split import fold_name
from workbench.training.fits import Fold

TEST = "test"


@dataclass(frozen=True)
class Protocol:
    """Folds that select (rounds, epochs, weights) and folds that judge; no row of the one judges the other."""

    select: tuple[Fold, ...]
    test: tuple[Fold, ...]


def of(cfg: Config, features: Artifact) -> Protocol:
    """The folds of a config."""
    split = cfg.data.split
    if split.kind == "stratified":
        return Protocol(_stratified(split.folds), (Fold(TEST, pc.field("part") != "test", pc.field("part") == "test"),))
    known = _positives(cfg, features)
    if cfg.evaluate.protocol == "prequential":
        selecting, judging = cfg.evaluate.select_starts, cfg.evaluate.fold_starts
    else:
        selecting, judging = [str(split.select_start)], [str(split.train_start)]
    names = [TEST] if len(judging) == 1 else [f"{TEST}-{start}" for start in judging]
    return Protocol(
        tuple(_fold(f"select-{start}", start, cfg, known) for start in selecting),
        tuple(_fold(name, start, cfg, known) for name, start in zip(names, judging, strict=True)),
    )


def _stratified(folds: int) -> tuple[Fold, ...]:
    """The validation part, or each of several folds scored by fits on the others; no row of them tests."""
    part = pc.field("part")
    if folds == 1:
        return (Fold("select", part == "train", part == "valid"),)
    names = [fold_name(fold) for fold in range(folds)]
    return tuple(
        Fold(f"select-{one}", part.isin([other for other in names if other != one]), part == one) for one in names
    )


def between(column: str, start: dt.date, days: int) -> pc.Expression:
    """The rows of some whole days (UTC)."""
    first, end = midnight(start), midnight(start + dt.timedelta(days))
    return (pc.field(column) >= first) & (pc.field(column) < end)


def midnight(day: dt.date) -> pa.Scalar:
    """The first instant of a day as a timestamp."""
    return pa.scalar(dt.datetime.combine(day, dt.time(), dt.UTC), TIME)


def scored_days(column: str, start: dt.date, split: SplitConfig, known: pa.Table | None) -> pc.Expression:
    """The scored rows of the block whose training starts on `start`, without customers known to be defrauded."""
    chosen = None
    for day in range(split.score_days):
        rows = between(column, start + dt.timedelta(split.train_days + split.delay_days + day), 1)
        if known is not None and split.exclude_known:
            until = start + dt.timedelta(split.train_days + day)
            seen = known.filter(between(column, start, (until - start).days))[split.exclude_known].unique()
            rows &= ~pc.field(split.exclude_known).isin(seen)
        chosen = rows if chosen is None else chosen | rows
    assert chosen is not None
    return chosen


def _fold(name: str, start: str, cfg: Config, known: pa.Table | None) -> Fold:
    first, split = dt.date.fromisoformat(start), cfg.data.split
    column = cfg.data.event_time
    scored_from = midnight(first + dt.timedelta(split.train_days + split.delay_days))
    train = between(column, first, split.train_days) & (pc.field("label_known_time") <= scored_from)
    return Fold(name, train, scored_days(column, first, split, known))


def _positives(cfg: Config, features: Artifact) -> pa.Table | None:
    """Time and entity of every positive row."""
    entity = cfg.data.split.exclude_known
    if entity is None:
        return None
    return snapshots.read(features, [cfg.data.event_time, entity], pc.field("label") == 1)


def without_score(folds: Sequence[Fold]) -> list[Fold]:
    """The same folds for training only: what they are judged on is not read before the judgement."""
    return [Fold(fold.name, fold.train) for fold in folds]
