"""How a worker hands its checkpoints to Ray Train."""

import time
from pathlib import Path

import ray.train
from pyarrow import fs
from ray.train import CheckpointUploadMode

from workbench.training.checkpoints import Checkpoint, Shelf
from workbench.training.rendezvous import rank

LOOK_EVERY_S = 0.01


class Saver:
    """Reports checkpoints, which are rank 0's. A report is a barrier: every rank must come to it.

    On a disk a checkpoint is there when `save` returns: it costs milliseconds, and a kill then never repeats a step.
    To an object store it goes while training goes on, one at a time, so that a kill repeats one step at the most.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self._last = shelf, Path()
        local = isinstance(shelf.store.fs, fs.LocalFileSystem)
        self._mode = CheckpointUploadMode.SYNC if local else CheckpointUploadMode.ASYNC

    def save(self, checkpoint: Checkpoint) -> None:
        """Report a checkpoint; what ranks other than the first give is not looked at."""
        if rank() > 0:
            ray.train.report({})
            return
        while self._last.name and self._last.exists():  # Ray removes it when it is uploaded
            time.sleep(LOOK_EVERY_S)
        self._last = Path(self.shelf.write(checkpoint))
        ray.train.report(
            {},
            checkpoint=ray.train.Checkpoint.from_directory(str(self._last)),
            checkpoint_upload_mode=self._mode,
            delete_local_checkpoint_after_upload=True,
        )
