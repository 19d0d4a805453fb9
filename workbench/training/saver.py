"""How a worker hands its checkpoints to Ray Train."""

import time
from collections.abc import Callable
from pathlib import Path

import ray.train
from pyarrow import fs
from ray.train import CheckpointUploadMode

from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.rendezvous import rank

LOOK_EVERY_S = 0.01


class Saver:
    """Saves and reports checkpoints, which are rank 0's. A report is a barrier: every rank must come to it.

    On a disk a checkpoint counts before the barrier: where another rank was killed nobody would ever get past it, and
    the step would be trained again. To an object store it goes after the barrier, while training goes on, one at a
    time, so that a kill repeats one step at the most.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self._last = shelf, Path()
        self._local = isinstance(shelf.store.fs, fs.LocalFileSystem)

    def save(self, checkpoint: Checkpoint, note: Callable[[], None] = lambda: None) -> None:
        """Save a checkpoint and report it; what ranks other than the first give is not looked at.

        `note` writes down what the checkpoint is of. It is called when all is written and only has to be put in place:
        a step that is written down and not saved would be trained twice.
        """
        if rank() > 0:
            ray.train.report({})
        elif self._local:
            self._placed(checkpoint, note)
        else:
            self._sent(checkpoint, note)

    def _placed(self, checkpoint: Checkpoint, note: Callable[[], None]) -> None:
        draft = self.shelf.draft(checkpoint)
        self.shelf.check_owner()
        note()
        path = self.shelf.place(draft)
        placed = ray.train.Checkpoint(path, filesystem=self.shelf.store.fs)
        ray.train.report({}, checkpoint=placed, checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD)

    def _sent(self, checkpoint: Checkpoint, note: Callable[[], None]) -> None:
        while self._last.name and self._last.exists():  # Ray removes it when it is uploaded
            time.sleep(LOOK_EVERY_S)
        self._last = Path(self.shelf.write(checkpoint))
        self.shelf.check_owner()
        note()
        ray.train.report(
            {},
            checkpoint=ray.train.Checkpoint.from_directory(str(self._last)),
            checkpoint_dir_name=self.shelf.new_name(),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
        )
