"""The checkpoints of a family's run as they lie in the store: whole or not there, of one plan, the newest found again.

<root>/checkpoints/<family>-<run>/checkpoint_<time>/   the state of the fit at hand, and which fits are finished
<root>/checkpoints/<family>-<run>/fits/<fit>.npz       what a finished fit gave, written once
<root>/checkpoints/<family>-<run>/history/<n>.parquet  what the n-th attempt did, step by step (see `segments.py`)

On a disk a checkpoint is written into a hidden folder, whose renaming makes it count; to an object store Ray Train
uploads it. Ray removes the old ones. Which one is the newest is read from the folders themselves: Ray's own list is
written later, and not in one piece, so that a kill in between would cost a step or the whole run.
"""

import datetime as dt
import json
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyarrow import fs

from workbench.data.parquet import read_bytes, write_bytes
from workbench.data.store import Store
from workbench.digest import sha256
from workbench.errors import EnvironmentFault, StoreError

MANIFEST = "manifest.json"
PREFIX = "checkpoint_"
DRAFT = ".draft-"
OWNER = "owner"
RAYS_LIST = "checkpoint_manager_snapshot.json"


@dataclass(frozen=True)
class Checkpoint:
    """What training goes on from."""

    done: dict[str, str] = field(default_factory=dict)  # finished fits and the digests of their files
    fit: str | None = None  # the fit at hand
    step: int = 0  # its last finished step
    files: dict[str, bytes] = field(default_factory=dict)  # its state


@dataclass(frozen=True)
class Shelf:
    """The place of one family's run. `plan` is the digest of all that its fits depend on."""

    store: Store
    name: str
    plan: str
    owner: str = field(default_factory=lambda: secrets.token_hex(8))  # of one driver; its workers' copies have it too

    @property
    def folder(self) -> str:
        """The folder, as the store's filesystem wants it."""
        return self.store.path("checkpoints", self.name)

    def prepare(self) -> None:
        """Take the run over and leave its newest whole checkpoint; raises `StoreError` where it is of another plan.

        Workers of a killed driver may go on for a minute before they notice: from here on they can save nothing.
        """
        newest = self.newest()
        if newest is not None:
            self.read(newest)
        write_bytes(self.store.fs, f"{self.folder}/{OWNER}", self.owner.encode())
        for name in self._names(PREFIX) - {newest} | self._names(DRAFT):
            self.store.fs.delete_dir(f"{self.folder}/{name}")
        rays_list = f"{self.folder}/{RAYS_LIST}"
        if self.store.fs.get_file_info(rays_list).type == fs.FileType.File:
            self.store.fs.delete_file(rays_list)

    def check_owner(self) -> None:
        """Raise `EnvironmentFault` where another driver has taken the run over."""
        if read_bytes(self.store.fs, f"{self.folder}/{OWNER}").decode() != self.owner:
            raise EnvironmentFault(
                f"Another driver has taken over {self.store.uri('checkpoints', self.name)}. Let one train at a time."
            )

    def newest(self) -> str | None:
        """The name of the newest checkpoint of which every file is there; None while there is none."""
        return next((name for name in sorted(self._names(PREFIX), reverse=True) if self._whole(name)), None)

    def read(self, name: str) -> Checkpoint:
        """A checkpoint, after plan and digests were compared."""
        said = self._manifest(name)
        if said["plan"] != self.plan:
            raise StoreError(
                f"{self.store.uri('checkpoints', self.name, name)} is a checkpoint of another configuration (plan"
                f" {said['plan']}, now {self.plan}): nothing is trained on top of it. Delete"
                f" {self.store.uri('checkpoints', self.name)} and run again, or restore the configuration it is of."
            )
        files = {one: self._read(f"{name}/{one}", at["sha256"]) for one, at in said["files"].items()}
        return Checkpoint(said["done"], said["fit"], said["step"], files)

    def write(self, checkpoint: Checkpoint) -> str:
        """A new folder on this machine that holds the checkpoint, for Ray to upload and then to remove."""
        return self._write(checkpoint, tempfile.mkdtemp(prefix="checkpoint-"))

    def draft(self, checkpoint: Checkpoint) -> str:
        """A new folder that holds the checkpoint where it counts as soon as it is placed; for a store on a disk."""
        path = Path(self.folder, DRAFT + secrets.token_hex(8))
        path.mkdir(parents=True)
        return self._write(checkpoint, str(path))

    def place(self, draft: str) -> str:
        """Where the checkpoint of a draft is from now on, the newest there is."""
        return str(Path(draft).rename(Path(self.folder, self.new_name())))

    def new_name(self) -> str:
        """A name after all that are there: that of now, unless a clock went back, or another one is ahead."""
        now, newest = dt.datetime.now(dt.UTC), max(self._names(PREFIX), default="")
        return max(f"{PREFIX}{now:%Y-%m-%d_%H-%M-%S.%f}", f"{newest}+")

    def _write(self, checkpoint: Checkpoint, path: str) -> str:
        for name, content in checkpoint.files.items():
            Path(path, name).write_bytes(content)
        listed = {
            name: {"bytes": len(content), "sha256": sha256(content)} for name, content in checkpoint.files.items()
        }
        said = {"plan": self.plan, "done": checkpoint.done, "fit": checkpoint.fit, "step": checkpoint.step}
        Path(path, MANIFEST).write_text(json.dumps({**said, "files": listed}))
        return path

    def write_fit(self, name: str, content: bytes) -> str:
        """The digest of a finished fit's file, which is then in the store."""
        write_bytes(self.store.fs, f"{self.folder}/fits/{name}.npz", content)
        return sha256(content)

    def uri_of_fit(self, name: str) -> str:
        """Where a finished fit lies, for people and other tools."""
        return self.store.uri("checkpoints", self.name, "fits", f"{name}.npz")

    def read_fits(self, done: Mapping[str, str]) -> dict[str, bytes]:
        """The files of finished fits."""
        return {name: self._read(f"fits/{name}.npz", digest) for name, digest in done.items()}

    def _names(self, prefix: str) -> set[str]:
        found = self.store.fs.get_file_info(fs.FileSelector(self.folder, allow_not_found=True))
        return {
            one.base_name for one in found if one.type == fs.FileType.Directory and one.base_name.startswith(prefix)
        }

    def _whole(self, name: str) -> bool:
        try:
            listed = self._manifest(name)["files"]
        except (StoreError, ValueError, KeyError):
            return False
        paths = [f"{self.folder}/{name}/{one}" for one in listed]
        sizes = [one.size for one in self.store.fs.get_file_info(paths)]
        return sizes == [at["bytes"] for at in listed.values()]

    def _manifest(self, name: str) -> dict[str, Any]:
        return dict(json.loads(read_bytes(self.store.fs, f"{self.folder}/{name}/{MANIFEST}")))

    def _read(self, path: str, digest: str) -> bytes:
        content = read_bytes(self.store.fs, f"{self.folder}/{path}")
        if sha256(content) != digest:
            raise StoreError(
                f"{self.folder}/{path} was altered after it was written. Delete {self.folder} and run again."
            )
        return content
