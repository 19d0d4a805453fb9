"""Which rows train, which select and which judge: the benchmark's blocks of days, or a stratified split.

The blocks follow the published protocol: train for some days, wait for the labels' delay, score the days after. From
the scored rows leave the customers who were known to be defrauded: those of the training block, and for the d-th
scored day those defrauded up to day (end of training + d - 1). `history_days` of rows before the block may train as
well: who is scored goes by the block alone, so that figures with more history stand beside the published ones.

`kfold` deals rows that have no time to k folds: in the run of fold i, that fold judges, the next one selects, and all
but the judging one train what is judged. `data.split.group` keeps the rows of a customer on one side: a stratified
split deals whole customers, and of blocks of days a share of the customers (by hash) is scored and only others train.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config, SplitConfig
from workbench.data import snapshots
from workbench.data.labels import TIME
from workbench.data.store import Artifact
from workbench.errors import ConfigError
from workbench.evaluation import split as dealing
from workbench.training.fits import Fold

TEST = "test"
PLACE = "place"  # the column of a stratified snapshot that says where a row stands among those of its class
DRAW = "draw"  # and the one that says from which share on it is trained on


@dataclass(frozen=True)
class Protocol:
    """Folds that select (rounds, epochs, weights) and folds that judge; no row of the one judges the other."""

    select: tuple[Fold, ...]
    test: tuple[Fold, ...]


def each(cfg: Config) -> list[Config]:
    """The configs whose runs are judged together: one, or with `kfold` one for each fold."""
    if cfg.evaluate.protocol != "kfold" or cfg.evaluate.fold is not None:
        return [cfg]
    folds = [dataclasses.replace(cfg.evaluate, fold=fold) for fold in range(cfg.evaluate.folds)]
    return [dataclasses.replace(cfg, evaluate=one) for one in folds]


def of(cfg: Config, features: Artifact) -> Protocol:
    """The folds of a config."""
    if cfg.data.split.kind == "stratified":
        return _kfold(cfg) if cfg.evaluate.protocol == "kfold" else _stratified(cfg)
    known = _positives(cfg, features)
    if cfg.evaluate.protocol == "prequential":
        selecting, judging = cfg.evaluate.select_starts, cfg.evaluate.fold_starts
    else:
        selecting, judging = [str(cfg.data.split.select_start)], [str(cfg.data.split.train_start)]
    names = [TEST] if len(judging) == 1 else [f"{TEST}-{start}" for start in judging]
    sides = _sides(cfg, features)
    return Protocol(
        tuple(sides.select(_fold(f"select-{start}", start, cfg, known)) for start in selecting),
        tuple(sides.test(_fold(name, start, cfg, known)) for name, start in zip(names, judging, strict=True)),
    )


def remedy(cfg: Config) -> str:
    """Which keys chose the rows that judge, and what to do with them where these are too few."""
    judged, split = cfg.evaluate, cfg.data.split
    if judged.protocol == "kfold":
        return f"evaluate.folds={judged.folds} dealt them: use fewer"
    if split.kind == "stratified":
        return f"data.split.test_share={split.test_share:g} dealt them: use a larger share"
    starts = f"data.split.train_start={split.train_start}"
    if judged.protocol == "prequential":
        starts = f"evaluate.fold_starts={judged.fold_starts}"
    return f"{starts} and data.split.score_days={split.score_days} chose them: use another start or more days"


def _stratified(cfg: Config) -> Protocol:
    part = pc.field("part")
    return Protocol(_selecting(cfg), (Fold(TEST, _share(cfg, part != "test"), part == "test"),))


def _selecting(cfg: Config) -> tuple[Fold, ...]:
    """The validation part, or each of several folds scored by fits on the others; no row of them tests."""
    part, folds = pc.field("part"), cfg.data.split.folds
    if folds == 1:
        return (Fold("select", _share(cfg, part == "train"), part == "valid"),)
    names = [dealing.fold_name(fold) for fold in range(folds)]
    others = {one: part.isin([other for other in names if other != one]) for one in names}
    return tuple(Fold(f"select-{one}", _share(cfg, others[one]), part == one) for one in names)


def _kfold(cfg: Config) -> Protocol:
    """Fold i judges and the next one selects; neither trains what it is asked about."""
    count, fold = cfg.evaluate.folds, cfg.evaluate.fold
    if fold is None:
        raise ConfigError(
            f"evaluate.protocol=kfold is {count} runs. Say which with evaluate.fold=0 to {count - 1}, or run"
            " workloads.evaluate, which makes all of them."
        )
    judging, selecting = _stretch(fold, count), _stretch((fold + 1) % count, count)
    select = Fold(f"select-{fold + 1}-of-{count}", _share(cfg, ~judging & ~selecting), selecting)
    return Protocol((select,), (Fold(f"{TEST}-{fold + 1}-of-{count}", _share(cfg, ~judging), judging),))


def _stretch(fold: int, count: int) -> pc.Expression:
    return (pc.field(PLACE) >= fold / count) & (pc.field(PLACE) < (fold + 1) / count)


def _share(cfg: Config, rows: pc.Expression) -> pc.Expression:
    """The configured share of rows that have no time: those with the smallest draws."""
    share = cfg.evaluate.train_share
    return rows if share == 1 else rows & (pc.field(DRAW) < share)


@dataclass(frozen=True)
class _Sides:
    """Which customers train, select and judge, where no customer may do two of these; None: all do all."""

    test_only: pc.Expression | None = None
    valid_only: pc.Expression | None = None

    def select(self, fold: Fold) -> Fold:
        """Scored on the validating customers; the others but the judging ones train."""
        if self.valid_only is None or self.test_only is None or fold.score is None:
            return fold
        return Fold(fold.name, fold.train & ~self.test_only & ~self.valid_only, fold.score & self.valid_only)

    def test(self, fold: Fold) -> Fold:
        """Scored on the judging customers; all others train."""
        if self.test_only is None or fold.score is None:
            return fold
        return Fold(fold.name, fold.train & ~self.test_only, fold.score & self.test_only)


def _sides(cfg: Config, features: Artifact) -> _Sides:
    split = cfg.data.split
    if split.group is None:
        return _Sides()
    names = snapshots.read(features, [split.group])[split.group].unique().drop_null()
    order = np.argsort(dealing.hashes(names.to_numpy(zero_copy_only=False), split.seed), kind="stable")
    test, valid = int(len(names) * split.test_share), int(len(names) * split.validation_share)
    column = pc.field(split.group)
    return _Sides(column.isin(names.take(order[:test])), column.isin(names.take(order[test : test + valid])))


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
    days = split.train_days + split.history_days
    first_day = first - dt.timedelta(split.history_days)
    block = between(column, first_day, days)
    if cfg.evaluate.train_share != 1:
        end = dt.datetime.combine(first_day + dt.timedelta(days), dt.time(), dt.UTC)
        since = end - cfg.evaluate.train_share * dt.timedelta(days)
        block = (pc.field(column) >= pa.scalar(since, TIME)) & (pc.field(column) < pa.scalar(end, TIME))
    train = block & (pc.field("label_known_time") <= scored_from)
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
