"""A checkpoint is whole or not there, and of one plan."""

import pickle
import shutil
from pathlib import Path

import pytest

from workbench.data.store import Store
from workbench.errors import EnvironmentFault, StoreError
from workbench.training.checkpoints import MANIFEST, RAYS_LIST, Checkpoint, Shelf

NEW = Checkpoint({"a-seed0": "d"}, "b-seed0", 7, {"fitted.npz": b"fitted", "network": b"weights"})


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(store, "torch_mlp-run", "plan")


def kept(shelf: Shelf, name: str, checkpoint: Checkpoint = NEW) -> Path:
    """The checkpoint as Ray uploads it."""
    folder = Path(shelf.folder, name)
    shutil.move(shelf.write(checkpoint), folder)
    return folder


def test_a_checkpoint_comes_back_as_it_was_written(shelf: Shelf) -> None:
    kept(shelf, "checkpoint_1")
    assert shelf.newest() == "checkpoint_1"
    assert shelf.read("checkpoint_1") == NEW


def test_a_run_without_a_checkpoint_begins(shelf: Shelf) -> None:
    shelf.prepare()
    assert shelf.newest() is None


@pytest.mark.parametrize("lost", [MANIFEST, "network"])
def test_a_checkpoint_that_was_cut_off_is_none_and_the_one_before_it_counts(shelf: Shelf, lost: str) -> None:
    kept(shelf, "checkpoint_1")
    (kept(shelf, "checkpoint_2") / lost).unlink()
    assert shelf.newest() == "checkpoint_1"


def test_half_a_file_is_not_a_whole_checkpoint(shelf: Shelf) -> None:
    kept(shelf, "checkpoint_1")
    (kept(shelf, "checkpoint_2") / "network").write_bytes(b"wei")
    (kept(shelf, "checkpoint_3") / MANIFEST).write_text('{"plan": "pl')
    assert shelf.newest() == "checkpoint_1"


def test_what_is_not_the_newest_whole_checkpoint_goes_before_workers_start(shelf: Shelf) -> None:
    kept(shelf, "checkpoint_1")
    kept(shelf, "checkpoint_2")
    (kept(shelf, "checkpoint_3") / "network").unlink()
    Path(shelf.folder, RAYS_LIST).write_text('{"half": ')
    shelf.write_fit("a-seed0", b"fit")
    shelf.prepare()
    assert sorted(path.name for path in Path(shelf.folder).iterdir()) == ["checkpoint_2", "fits", "owner"]


def test_a_checkpoint_of_another_plan_is_refused_and_kept(shelf: Shelf) -> None:
    folder = kept(shelf, "checkpoint_1")
    with pytest.raises(StoreError, match=r"checkpoint of another configuration \(plan plan, now other\).*Delete"):
        Shelf(shelf.store, shelf.name, "other").prepare()
    assert folder.exists(), "a refusal removes nothing"


def test_an_altered_file_is_refused(shelf: Shelf) -> None:
    (kept(shelf, "checkpoint_1") / "network").write_bytes(b"WEIGHTS")
    with pytest.raises(StoreError, match=r"checkpoint_1/network was altered"):
        shelf.read("checkpoint_1")
    digest = shelf.write_fit("a-seed0", b"fit")
    assert shelf.read_fits({"a-seed0": digest}) == {"a-seed0": b"fit"}
    shelf.write_fit("a-seed0", b"tif")
    with pytest.raises(StoreError, match=r"fits/a-seed0.npz was altered"):
        shelf.read_fits({"a-seed0": digest})


def test_workers_of_a_driver_that_was_followed_by_another_can_save_nothing(shelf: Shelf) -> None:
    shelf.prepare()
    copied = pickle.loads(pickle.dumps(shelf))  # as Ray hands it to a worker
    copied.check_owner()
    Shelf(shelf.store, shelf.name, shelf.plan).prepare()
    with pytest.raises(EnvironmentFault, match="Another driver has taken over"):
        copied.check_owner()
