"""Checkpoints in a bucket, as on a disk."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs
import pytest

from tests.code.training import samples
from tests.data.s3 import bucket
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Store
from workbench.errors import StoreError
from workbench.families import XGBoostConfig
from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.families import train_each
from workbench.training.trained import Trained

NEW = Checkpoint({"a-seed0": "d"}, "b-seed0", 7, {"fitted.npz": b"fitted", "network": b"weights"})


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Store]:
    """A store in a bucket on loopback, whose files are in a folder."""
    (tmp_path / "bucket").mkdir()
    with bucket(tmp_path / "bucket") as address:
        yield Store(f"s3://key:secret@bucket/store?endpoint_override={address}&scheme=http&region=us-east-1")


def uploaded(shelf: Shelf, name: str) -> None:
    source = shelf.write(NEW)
    shelf.store.fs.create_dir(f"{shelf.folder}/{name}")
    pyarrow.fs.copy_files(source, f"{shelf.folder}/{name}", destination_filesystem=shelf.store.fs, use_threads=False)


def test_the_newest_whole_checkpoint_of_a_bucket_is_found_and_the_rest_removed(remote: Store, tmp_path: Path) -> None:
    shelf = Shelf(remote, "xgboost-run", "plan")
    shelf.prepare()
    for name in ("checkpoint_1", "checkpoint_2", "checkpoint_3"):
        uploaded(shelf, name)
    files = tmp_path / "bucket" / "store" / "checkpoints" / "xgboost-run"
    (files / "checkpoint_3" / "network").unlink()
    assert shelf.newest() == "checkpoint_2"
    assert shelf.read("checkpoint_2") == NEW
    shelf.prepare()
    assert [path.name for path in files.rglob("*") if path.is_file()].count("manifest.json") == 1
    with pytest.raises(StoreError, match="of another configuration"):
        Shelf(remote, "xgboost-run", "other").prepare()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_training_keeps_its_checkpoints_in_a_bucket_and_goes_on_from_them(remote: Store, tmp_path: Path) -> None:
    features = samples.snapshot(remote, samples.rows())
    cfg = TrainConfig(families=["xgboost"], xgboost=XGBoostConfig(rounds=40, max_bin=64))
    one = ScalingConfig(name="tests", workers=1, cpus_per_worker=0.5)

    def trained() -> Trained:
        return train_each(features, samples.NAMES, "id", samples.FOLDS, cfg, one, "run")["xgboost"]

    first = trained()
    files = tmp_path / "bucket" / "store" / "checkpoints" / "xgboost-run"
    assert sorted(path.name for path in (files / "fits").iterdir()) == ["select-seed0.npz", "test-seed0.npz"]
    again = trained()
    samples.same(first, again)
    assert samples.attempts(again.segments) == samples.attempts(first.segments), "nothing was trained twice"
    assert len(again.segments) == 1
