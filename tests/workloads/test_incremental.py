"""A day is added to a user's folder: features are those of the whole computation, and earlier ones are not redone."""

import dataclasses
import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.workloads.samples import benchmark_config
from workbench.config import (
    BenchmarkConfig,
    ColumnConfig,
    Config,
    FeatureConfig,
    LabelConfig,
    SourceConfig,
    ViewConfig,
)
from workbench.data import benchmark, snapshots
from workbench.data.store import Artifact, Store
from workbench.features import incremental
from workloads import featurize, validate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
START = dt.datetime(2018, 4, 1, tzinfo=dt.UTC)
DAYS = 20


def day(number: float) -> pa.Scalar:
    return pa.scalar(START + dt.timedelta(days=number), pa.timestamp("us", "UTC"))


def generated() -> pa.Table:
    """Some days of payments with their label, each known when it happens."""
    events, truth = benchmark.generate(BenchmarkConfig(customers=60, terminals=90, days=DAYS, radius=20.0))
    return events.append_column("told", events["event_time"]).append_column("fraud", truth["label"])


def days_of(rows: pa.Table, first: int, last: int) -> pa.Table:
    time = rows["event_time"]
    return rows.filter(pc.and_(pc.greater_equal(time, day(first)), pc.less(time, day(last))))


def changed(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


@dataclasses.dataclass
class Shop:
    """A user's folder with a file for each day, and a store."""

    folder: Path
    rows: pa.Table = dataclasses.field(default_factory=generated)
    events: int = 0  # of a customer that are shown

    @property
    def cfg(self) -> Config:
        """The payments as these files have them, with windows that are short beside the days."""
        cfg = benchmark_config(self.folder / "store")
        cfg.data.source = SourceConfig("file", str(self.folder / "files"))
        cfg.data.label = LabelConfig("fraud", "1", "0", delay_days=2)
        cfg.data.columns["event_time"].ordered = False
        cfg.data.columns["amount_minor"] = ColumnConfig("integer")
        cfg.data.columns["told"], cfg.data.known_time = ColumnConfig("timestamp"), "told"
        for view in cfg.features.views:
            view.windows, view.delay = (["1d", "2d"] if view.entity else []), ("2d" if view.delay != "0d" else "0d")
        if self.events:
            history = [FeatureConfig("earlier", "previous")]
            cfg.features.views.append(ViewConfig("last", ["customer_id"], ["2d"], features=history, events=self.events))
        return cfg

    def write(self, name: str, rows: pa.Table) -> None:
        """A file of the folder."""
        (self.folder / "files").mkdir(exist_ok=True)
        pq.write_table(rows, self.folder / "files" / f"{name}.parquet")

    def write_days(self, last: int) -> None:
        """The files of the days before this one."""
        for number in range(last):
            self.write(f"{number:02}", days_of(self.rows, number, number + 1))

    def copy(self, folder: Path) -> "Shop":
        """The same files and store elsewhere."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Shop(folder, self.rows, self.events)

    def whole(self, folder: Path) -> Artifact:
        """The features of all rows, in a store that has none."""
        shutil.copytree(self.folder / "store", folder / "store", ignore=shutil.ignore_patterns("features"))
        cfg = self.cfg
        cfg.storage.root = str(folder / "store")
        made = featurize.run(cfg)
        assert made.figures["kept"] == 0
        return made


@pytest.fixture(scope="module")
def made(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """All days but the last one, with features."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write_days(DAYS - 1)
    featurize.run(shop.cfg)
    return shop


@pytest.fixture
def shop(made: Shop, tmp_path: Path) -> Iterator[Shop]:
    """The same, to be changed."""
    yield made.copy(tmp_path / "shop")


def same(one: Artifact, other: Artifact) -> bool:
    """To the last bit."""
    return bool(
        featurize.table(one, names(one)).combine_chunks().equals(featurize.table(other, names(other)).combine_chunks())
    )


def names(artifact: Artifact) -> list[str]:
    return [name for name, _ in artifact.manifest["schema"]]


def earlier_of(shop: Shop) -> Artifact:
    store = Store(shop.cfg.storage.root)
    return store.get("features", store.keys("features")[0])


def before(shop: Shop, number: float) -> int:
    return int(pc.sum(pc.less(shop.rows["event_time"], day(number))).as_py())


def test_a_day_added_leaves_all_earlier_rows_and_files_as_they_are(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = earlier_of(shop)
    shop.write(f"{DAYS - 1}", days_of(shop.rows, DAYS - 1, DAYS))
    features = featurize.run(shop.cfg)
    assert (features.figures["kept"], features.rows) == (earlier.rows, len(shop.rows))
    assert (features.figures["kept_from"], features.figures["why"][:9]) == (earlier.key, "rows came")
    assert f"features of {earlier.rows:,} rows are those of {earlier.key}" in capsys.readouterr().err
    for entry in earlier.files:
        paths = [Path(one.folder) / entry.name for one in (earlier, features)]
        assert paths[0].samefile(paths[1])
    assert same(features, shop.whole(tmp_path / "whole"))


def late(rows: pa.Table, told: float) -> pa.Table:
    """The last day, and a row of day 15 that is told then."""
    last, first = days_of(rows, DAYS - 1, DAYS), days_of(rows, 15, 16).slice(7, 1)
    one = changed(first, "transaction_id", pa.array([10**6]))
    return pa.concat_tables([last, changed(one, "told", pa.array([day(told).as_py()], one["told"].type))])


def test_a_late_row_that_was_not_known_before_is_computed_itself(shop: Shop, tmp_path: Path) -> None:
    shop.write(f"{DAYS - 1}", late(shop.rows, DAYS))
    features = featurize.run(shop.cfg)
    assert (features.figures["kept"], features.rows) == (earlier_of(shop).rows, len(shop.rows) + 1)
    assert same(features, shop.whole(tmp_path / "whole"))


def test_rows_that_could_see_a_late_row_are_computed_again(shop: Shop, tmp_path: Path) -> None:
    shop.write(f"{DAYS - 1}", late(shop.rows, 17))
    features = featurize.run(shop.cfg)
    assert features.figures["kept"] == before(shop, 17)
    assert features.figures["why"] == "rows came, first seen at 2018-04-18 00:00:00"
    assert features.figures["shortened_files"] == len(earlier_of(shop).files)
    assert same(features, shop.whole(tmp_path / "whole"))


def test_another_label_of_an_old_row_changes_it_and_what_could_see_it(shop: Shop, tmp_path: Path) -> None:
    rows = days_of(shop.rows, 15, 16)
    frauds = pc.subtract(1, rows["fraud"]).combine_chunks()
    shop.write("15", changed(rows, "fraud", frauds.cast(rows["fraud"].type)))
    validated = validate.run(shop.cfg)
    assert [one.name for one in validated.files] == [one.name for one in shop_rows(shop).files], "labels are no rows"
    features = featurize.run(shop.cfg)
    assert features.figures["kept"] == before(shop, 15)
    assert features.figures["why"][:14] == "labels changed"
    whole = shop.whole(tmp_path / "whole")
    assert same(features, whole)
    assert not same(earlier_of(shop), whole)


def shop_rows(shop: Shop) -> Artifact:
    """The validated rows that the first features were made of."""
    return Store(shop.cfg.storage.root).get("validated", earlier_of(shop).manifest["parents"]["validated"])


def test_a_file_that_is_gone_or_others_in_its_place_change_what_could_see_its_rows(shop: Shop, tmp_path: Path) -> None:
    rows = days_of(shop.rows, 16, 17)
    shop.write("16", changed(rows, "amount_minor", pc.add(rows["amount_minor"], 1)))
    (shop.folder / "files" / "17.parquet").unlink()
    features = featurize.run(shop.cfg)
    assert features.figures["kept"] == before(shop, 16)
    assert same(features, shop.whole(tmp_path / "whole"))


def test_a_change_of_the_first_day_computes_all(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.write("00", days_of(shop.rows, 0, 1).slice(1))
    features = featurize.run(shop.cfg)
    assert (features.figures["kept"], features.figures["why"][-24:]) == (0, "most rows had to be read")
    assert "most rows had to be read" in capsys.readouterr().err


def test_the_same_rows_under_another_contract_keep_all_features(shop: Shop) -> None:
    cfg = shop.cfg
    cfg.data.bad_rows_limit = 0.5
    features = featurize.run(cfg)
    assert (features.figures["kept"], features.figures["why"]) == (features.rows, "nothing changed")
    assert features.key != earlier_of(shop).key
    assert snapshots.read(features).equals(snapshots.read(earlier_of(shop)))


def test_many_small_files_are_made_few_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    files = len(earlier_of(shop).files)
    monkeypatch.setattr(incremental, "MOST_FILES", files - 1)
    shop.write(f"{DAYS - 1}", days_of(shop.rows, DAYS - 1, DAYS))
    features = featurize.run(shop.cfg)
    assert (features.figures["kept"], features.rows) == (0, len(shop.rows))
    assert features.figures["why"].endswith(f" lie in {files} files, more than {files - 1}")


def test_parts_that_depend_on_all_rows_are_dealt_anew(shop: Shop) -> None:
    cfg = shop.cfg
    cfg.data.split.kind = "stratified"
    features = featurize.run(cfg)
    assert (features.figures["kept"], features.figures["why"][:26]) == (0, "data.split.kind=stratified")


@pytest.mark.parametrize("told", [DAYS, 17])
def test_sequences_are_kept_and_computed_like_all_else(told: float, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", events=3)
    shop.folder.mkdir()
    shop.write_days(DAYS - 1)
    earlier = featurize.run(shop.cfg)
    shop.write(f"{DAYS - 1}", late(shop.rows, told))
    features = featurize.run(shop.cfg)
    assert features.figures["kept"] == (earlier.rows if told == DAYS else before(shop, told))
    assert same(features, shop.whole(tmp_path / "whole"))
    shown = featurize.table(features, ["transaction_id", "elapsed_3_back"])["elapsed_3_back"]
    assert 0.1 < pc.mean(pc.greater(shown, 0)).as_py() < 0.99
