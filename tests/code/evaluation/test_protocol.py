"""The folds are the published blocks of days: no row trains and judges, and who was known to be defrauded leaves."""

import datetime as dt
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.config import Config, DataConfig, EvaluateConfig, SplitConfig
from workbench.data import snapshots
from workbench.data.labels import TIME
from workbench.data.parquet import choose
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError
from workbench.evaluation import protocol
from workbench.training.fits import Fold

START = dt.datetime(2018, 4, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
KNOWN_AFTER = 3 * DAY


def payments(seed: int = 0) -> pa.Table:
    """Two months of a few cards, many of them defrauded; payments at the first and last instant of days too."""
    random = np.random.default_rng(seed)
    second = np.sort(np.r_[random.integers(0, 60 * 86_400, 3000), np.arange(60) * 86_400])
    at = [START + dt.timedelta(seconds=int(one)) for one in second] + [START + 20 * DAY - dt.timedelta(microseconds=1)]
    return pa.table(
        {
            "id": np.arange(len(at)),
            "at": pa.array(at, TIME),
            "card": random.integers(0, 40, len(at)),
            "label": (random.random(len(at)) < 0.02).astype(np.int8),
            "label_known_time": pa.array([one + KNOWN_AFTER for one in at], TIME),
        }
    )


def configured(**evaluate: Any) -> Config:
    split = SplitConfig(
        kind="time",
        train_start="2018-04-15",
        select_start="2018-04-08",
        train_days=5,
        delay_days=3,
        score_days=4,
        exclude_known="card",
    )
    return Config(
        name="x",
        data=DataConfig(name="x", id="id", event_time="at", split=split),
        evaluate=EvaluateConfig(**evaluate),
    )


@pytest.fixture
def features(store: Store) -> Artifact:
    return snapshots.write(store, "features", "k", payments(), parents={}, config={}, rows_per_file=700)


def trained(fold: Fold) -> list[int]:
    return choose(payments(), ["id"], fold.train)["id"].to_pylist()


def scored(fold: Fold) -> list[int]:
    return choose(payments(), ["id"], fold.score)["id"].to_pylist()


def published(start: dt.date, cfg: Config) -> tuple[list[int], list[int]]:
    """Ids that train and ids that are scored, by the handbook's own loop over whole days."""
    split = cfg.data.split
    of_day: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in payments().to_pylist():
        of_day[(row["at"].date() - start).days].append(row)
    train = [row for day in range(split.train_days) for row in of_day[day]]
    known = {row["card"] for row in train if row["label"]}
    test = []
    for day in range(split.score_days):
        known |= {row["card"] for row in of_day[split.train_days + day - 1] if row["label"]}
        test += [row for row in of_day[split.train_days + split.delay_days + day] if row["card"] not in known]
    return sorted(row["id"] for row in train), sorted(row["id"] for row in test)


class TestTheDataSetsOwnSplit:
    def test_rows_are_those_of_the_published_loop(self, features: Artifact) -> None:
        cfg = configured()
        folds = protocol.of(cfg, features)
        for fold, start in ((folds.select[0], "2018-04-08"), (folds.test[0], "2018-04-15")):
            assert (trained(fold), scored(fold)) == published(dt.date.fromisoformat(start), cfg)

    def test_more_history_trains_on_earlier_rows_and_changes_no_scored_row(self, features: Artifact) -> None:
        cfg = configured()
        (fold,) = protocol.of(cfg, features).test
        cfg.data.split.history_days = 6
        (longer,) = protocol.of(cfg, features).test
        block = protocol.between("at", dt.date(2018, 4, 9), 11)
        assert trained(longer) == choose(payments(), ["id"], block)["id"].to_pylist()
        assert (len(trained(longer)) > len(trained(fold)), scored(longer)) == (True, scored(fold))

    def test_there_is_one_fold_to_select_and_one_to_judge(self, features: Artifact) -> None:
        folds = protocol.of(configured(), features)
        assert [fold.name for fold in folds.select + folds.test] == ["select-2018-04-08", "test"]

    def test_no_row_both_trains_and_is_scored(self, features: Artifact) -> None:
        for fold in (*(folds := protocol.of(configured(), features)).select, *folds.test):
            assert not set(trained(fold)) & set(scored(fold))

    def test_scored_rows_lie_after_the_delay(self, features: Artifact) -> None:
        (fold,) = protocol.of(configured(), features).test
        at = choose(payments(), ["at"], fold.score)["at"].to_pylist()
        assert START + 22 * DAY <= min(at) < START + 23 * DAY
        assert START + 25 * DAY <= max(at) < START + 26 * DAY

    def test_a_card_known_from_the_training_block_is_not_scored_and_others_still_are(self, features: Artifact) -> None:
        (fold,) = protocol.of(configured(), features).test
        found = set(choose(payments(), ["card"], fold.score)["card"].to_pylist())
        block = choose(payments(), ["card", "label"], protocol.between("at", dt.date(2018, 4, 15), 5)).to_pylist()
        assert not found & {row["card"] for row in block if row["label"]}
        assert found

    def test_without_an_entity_to_exclude_whole_days_are_scored(self, features: Artifact) -> None:
        cfg = configured()
        cfg.data.split.exclude_known = None
        (fold,) = protocol.of(cfg, features).test
        days = protocol.between("at", dt.date(2018, 4, 23), 4)
        assert scored(fold) == choose(payments(), ["id"], days)["id"].to_pylist()

    def test_data_without_any_positive_row_excludes_nobody(self, store: Store) -> None:
        table = payments()
        clean = table.set_column(3, "label", pa.array(np.zeros(table.num_rows, np.int8)))
        features = snapshots.write(store, "features", "clean", clean, parents={}, config={})
        (fold,) = protocol.of(configured(), features).test
        assert len(scored(fold)) == choose(table, ["id"], protocol.between("at", dt.date(2018, 4, 23), 4)).num_rows


class TestPrequential:
    def test_every_start_gives_the_published_rows_of_its_own_block(self, features: Artifact) -> None:
        starts = ["2018-04-15", "2018-04-20", "2018-05-01"]
        cfg = configured(protocol="prequential", select_starts=["2018-04-02", "2018-04-09"], fold_starts=starts)
        folds = protocol.of(cfg, features)
        assert [fold.name for fold in folds.select] == ["select-2018-04-02", "select-2018-04-09"]
        assert [fold.name for fold in folds.test] == [f"test-{start}" for start in starts]
        for fold, start in zip(folds.test, starts, strict=True):
            assert (trained(fold), scored(fold)) == published(dt.date.fromisoformat(start), cfg)

    def test_a_single_block_is_called_as_the_data_sets_own(self, features: Artifact) -> None:
        cfg = configured(protocol="prequential", select_starts=["2018-04-08"], fold_starts=["2018-04-15"])
        prequential, own = protocol.of(cfg, features), protocol.of(configured(), features)
        assert [fold.name for fold in prequential.test] == ["test"]
        assert scored(prequential.test[0]) == scored(own.test[0])


class TestStratified:
    PARTS = pa.table({"id": range(6), "part": ["train", "valid", "test"] * 2})

    def chosen(self, rows: Any) -> list[int]:
        found: list[int] = choose(self.PARTS, ["id"], rows)["id"].to_pylist()
        return found

    def test_validation_rows_select_and_train_the_judged_model_and_test_rows_only_judge(
        self, features: Artifact
    ) -> None:
        cfg = configured()
        cfg.data.split = SplitConfig(kind="stratified")
        folds = protocol.of(cfg, features)
        ((select,), (test,)) = folds.select, folds.test
        assert (self.chosen(select.train), self.chosen(select.score)) == ([0, 3], [1, 4])
        assert (self.chosen(test.train), self.chosen(test.score)) == ([0, 1, 3, 4], [2, 5])
        assert test.name == protocol.TEST


class TestKFold:
    ROWS = pa.table({"id": range(50), "place": np.arange(50) / 50, "draw": np.tile([0.1, 0.9], 25)})

    def config(self, **evaluate: Any) -> Config:
        cfg = configured(protocol="kfold", **evaluate)
        cfg.data.split = SplitConfig(kind="stratified")
        return cfg

    def chosen(self, rows: Any) -> set[int]:
        return set(choose(self.ROWS, ["id"], rows)["id"].to_pylist())

    def test_every_row_is_judged_once_and_by_a_model_that_never_saw_it(self, features: Artifact) -> None:
        judged: list[int] = []
        for cfg in protocol.each(self.config(folds=5)):
            ((select,), (test,)) = (folds := protocol.of(cfg, features)).select, folds.test
            train, score = self.chosen(test.train), self.chosen(test.score)
            assert train | score == set(range(50))
            assert not train & score
            assert len(score) == 10
            assert not self.chosen(select.score) & self.chosen(select.train)
            assert not (self.chosen(select.train) | self.chosen(select.score)) & score, "what is judged chose nothing"
            judged += score
        assert sorted(judged) == list(range(50))

    def test_each_fold_is_a_run_of_its_own_with_a_name_of_its_own(self, features: Artifact) -> None:
        cfgs = protocol.each(self.config(folds=4))
        assert [cfg.evaluate.fold for cfg in cfgs] == [0, 1, 2, 3]
        assert [protocol.of(cfg, features).test[0].name for cfg in cfgs] == [f"test-{i}-of-4" for i in (1, 2, 3, 4)]
        assert protocol.each(cfgs[2]) == [cfgs[2]]
        assert protocol.each(configured()) == [configured()]

    def test_a_single_run_must_say_which_fold_judges(self, features: Artifact) -> None:
        with pytest.raises(ConfigError, match=r"evaluate\.fold=0 to 4"):
            protocol.of(self.config(), features)

    def test_a_share_of_the_rows_trains_and_all_are_judged(self, features: Artifact) -> None:
        (fold,) = protocol.of(self.config(fold=0, train_share=0.5), features).test
        assert self.chosen(fold.train) == {one for one in range(10, 50) if one % 2 == 0}
        assert self.chosen(fold.score) == set(range(10))


class TestShares:
    @pytest.mark.parametrize(("share", "first"), [(0.4, 18), (1.0, 15), (1.4, 13)])
    def test_of_blocks_of_days_the_newest_rows_train_and_the_same_are_scored(
        self, features: Artifact, share: float, first: int
    ) -> None:
        (fold,), (whole,) = (protocol.of(configured(train_share=one), features).test for one in (share, 1.0))
        at = choose(payments(), ["at"], fold.train)["at"].to_pylist()
        assert START + (first - 1) * DAY <= min(at) < START + first * DAY
        assert max(at) < START + 19 * DAY
        assert scored(fold) == scored(whole)


class TestGroups:
    def cards(self, rows: Any) -> set[int]:
        return set(choose(payments(), ["card"], rows)["card"].to_pylist())

    def test_no_card_trains_selects_and_judges_at_once(self, features: Artifact) -> None:
        cfg = configured()
        cfg.data.split.group, cfg.data.split.exclude_known = "card", None
        (select,), (test,) = (folds := protocol.of(cfg, features)).select, folds.test
        assert len(self.cards(test.score)) == len(self.cards(select.score)) == 8
        for mine, theirs in (
            (test.score, test.train), (select.score, select.train),
            (test.score, select.train), (test.score, select.score),
        ):  # fmt: skip
            assert self.cards(mine)
            assert not self.cards(mine) & self.cards(theirs)

    def test_days_and_known_cards_are_as_without_groups(self, features: Artifact) -> None:
        cfg, grouped = configured(), configured()
        grouped.data.split.group = "card"
        (whole,), (some,) = (protocol.of(one, features).test for one in (cfg, grouped))
        assert set(scored(some)) < set(scored(whole))
        assert set(trained(some)) < set(trained(whole))


class TestDays:
    def test_a_day_begins_at_midnight_utc_and_ends_before_the_next(self) -> None:
        edges = [-1, 0, 86_400_000_000 - 1, 86_400_000_000]
        at = [START + dt.timedelta(microseconds=one) for one in edges]
        table = pa.table({"at": pa.array(at, TIME), "id": range(4)})
        assert choose(table, ["id"], protocol.between("at", START.date(), 1))["id"].to_pylist() == [1, 2]
        assert choose(table, ["id"], protocol.between("at", START.date(), 0)).num_rows == 0

    def test_what_is_judged_is_not_read_before_the_judgement(self, features: Artifact) -> None:
        folds = protocol.of(configured(), features).test
        (blind,) = protocol.without_score(folds)
        assert (blind.name, blind.score) == ("test", None)
        assert trained(blind) == trained(folds[0])


def test_no_label_trains_that_was_not_known_when_scoring_began(store: Store) -> None:
    late = payments().set_column(
        4, "label_known_time", pa.array([one + 6 * DAY for one in payments()["at"].to_pylist()], TIME)
    )
    features = snapshots.write(store, "features", "late", late, parents={}, config={})
    fold = protocol.of(configured(), features).test[0]
    rows = choose(late, ["at", "label_known_time"], fold.train)
    scored_from = dt.datetime(2018, 4, 23, tzinfo=dt.UTC)
    assert 0 < rows.num_rows < len(trained(protocol.of(configured(), features).test[0]))
    assert max(rows["label_known_time"].to_pylist()) <= scored_from
