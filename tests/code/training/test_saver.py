"""On a disk a checkpoint is saved before the workers wait for one another: see also `benchmarks/kills.py`."""

from pathlib import Path
from typing import Any

import pytest
import ray.train

from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.training import saver
from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.saver import Saver

NEW = Checkpoint({"a-seed0": "d"}, "b-seed0", 7, {"fitted.npz": b"fitted", "network": b"weights"})


class NobodyComesError(Exception):
    """The barrier of a report at which a worker waits in vain: Ray ends it there."""


@pytest.fixture
def shelf(store: Store, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf whose only worker at the barrier is rank 0."""

    def barrier(*_: Any, **__: Any) -> None:
        raise NobodyComesError

    monkeypatch.setattr(ray.train, "report", barrier)
    monkeypatch.setattr(saver, "rank", lambda: 0)
    one = Shelf(store, "torch_mlp-run", "plan")
    one.prepare()
    return one


def test_a_step_is_saved_although_no_other_rank_comes_to_the_report(shelf: Shelf) -> None:
    noted: list[str | None] = []
    with pytest.raises(NobodyComesError):
        Saver(shelf).save(NEW, lambda: noted.append(shelf.newest()))
    newest = shelf.newest()
    assert newest is not None
    assert shelf.read(newest) == NEW
    assert noted == [None], "written down before it counts"


def test_a_step_that_could_not_be_written_down_is_not_saved(shelf: Shelf) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Saver(shelf).save(NEW, full)
    assert shelf.newest() is None


def test_what_another_driver_has_taken_over_meanwhile_is_not_written_into(shelf: Shelf) -> None:
    noted: list[bool] = []
    Shelf(shelf.store, shelf.name, shelf.plan).prepare()
    with pytest.raises(EnvironmentFault, match="Another driver has taken over"):
        Saver(shelf).save(NEW, lambda: noted.append(True))
    assert (shelf.newest(), noted) == (None, [])


def test_a_later_checkpoint_is_newer_where_a_clock_went_back(shelf: Shelf) -> None:
    ahead = Path(shelf.folder, "checkpoint_9999-01-01_00-00-00.000000")
    Path(shelf.draft(Checkpoint(step=1))).rename(ahead)
    for step in (2, 3):
        shelf.place(shelf.draft(Checkpoint(step=step)))
        assert shelf.read(shelf.newest() or "").step == step


def test_later_checkpoints_are_newer_and_those_that_were_begun_are_removed(shelf: Shelf) -> None:
    placed = [shelf.place(shelf.draft(Checkpoint(step=step))) for step in range(3)]
    shelf.draft(NEW)
    assert shelf.newest() == placed[-1].rpartition("/")[2]
    shelf.prepare()
    assert sorted(path.name for path in Path(shelf.folder).iterdir()) == [placed[-1].rpartition("/")[2], "owner"]
