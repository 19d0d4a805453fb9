"""The store: finished, immutable artifacts under one root, local or s3://, each named by a key known beforehand.

<root>/FORMAT                       the store's format version
<root>/<kind>/<key>/manifest.json   written last: a folder without one does not exist
<root>/<kind>/<key>/...             the files that the manifest lists
<root>/tables/...                   what grows (see `tables.py`)
"""

import dataclasses
import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pyarrow import fs

from workbench import digest
from workbench.data.parquet import FileEntry, read_bytes, share, write_bytes
from workbench.errors import ConfigError, EnvironmentFault, StoreError

FORMAT = 1


class Store:
    """Opens the store at `root`, which the first write makes; raises `StoreError` when it is of another format."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") if "://" in root else str(Path(root).expanduser().resolve())
        try:
            self.fs, self.base = fs.FileSystem.from_uri(self.root if "://" in root else Path(self.root).as_uri())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"storage.root={root} cannot be opened: {error}. Use a folder or an s3:// URI."
            ) from error
        self._begun = self._check_format()

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.root,)

    def path(self, *parts: str) -> str:
        """A path inside the store, as its filesystem wants it."""
        return "/".join([self.base, *parts])

    def uri(self, *parts: str) -> str:
        """The same path as a person or another tool may use it."""
        return "/".join([self.root, *parts])

    def find(self, kind: str, key: str) -> "Artifact | None":
        """The finished artifact of this kind and key, or None while there is none."""
        path = self.path(kind, key, "manifest.json")
        if self.fs.get_file_info(path).type != fs.FileType.File:
            return None
        manifest = _parse(path, read_bytes(self.fs, path))
        return Artifact(self, kind, key, manifest)

    def get(self, kind: str, key: str) -> "Artifact":
        """The finished artifact; raises `StoreError` where there is none."""
        if (artifact := self.find(kind, key)) is None:
            raise StoreError(f"{self.uri(kind, key)} does not exist. Run the step that makes it first.")
        return artifact

    def keys(self, kind: str) -> list[str]:
        """The keys of all finished artifacts of a kind, oldest first."""
        selector = fs.FileSelector(self.path(kind), allow_not_found=True)
        names = [info.base_name for info in self.fs.get_file_info(selector) if info.type == fs.FileType.Directory]
        found = [artifact for name in names if (artifact := self.find(kind, name))]
        return [artifact.key for artifact in sorted(found, key=lambda a: a.manifest["created"])]

    def stage(self, kind: str, key: str) -> "Stage":
        """A place to write a new artifact's files; nobody sees it before `commit`."""
        self.begin()
        return Stage(self, kind, key)

    def begin(self) -> None:
        """Write down the format, once, before anything is kept: what only looks, or refuses, leaves nothing behind."""
        if not self._begun:
            write_bytes(self.fs, self.path("FORMAT"), f"{FORMAT}\n".encode())
            self._begun = True

    def _check_format(self) -> bool:
        """Whether there is a store."""
        path = self.path("FORMAT")
        try:
            if self.fs.get_file_info(path).type == fs.FileType.NotFound:
                return False
        except OSError as error:
            raise EnvironmentFault(
                f"storage.root={self.root} cannot be looked into: {error}. Check that it is there and may be read; of a"
                " bucket also AWS_REGION, AWS_ENDPOINT_URL and the credentials."
            ) from error
        if (found := read_bytes(self.fs, path).decode(errors="replace").strip()) != str(FORMAT):
            raise StoreError(
                f"{self.root} holds a store of format {found[:20]!r}; this version reads format {FORMAT}."
                " Use another storage.root, or the version that wrote it."
            )
        return True


@dataclass(frozen=True)
class Artifact:
    """A finished, immutable thing in the store."""

    store: Store
    kind: str
    key: str
    manifest: dict[str, Any]

    @property
    def folder(self) -> str:
        """The folder, as the store's filesystem wants it."""
        return self.store.path(self.kind, self.key)

    @property
    def uri(self) -> str:
        """The folder, as a person or another tool may use it."""
        return self.store.uri(self.kind, self.key)

    @property
    def files(self) -> list[FileEntry]:
        """The Parquet files that hold its rows, in the order of the rows."""
        return [FileEntry(**entry) for entry in self.manifest["files"]]

    def only(self, entries: Iterable[FileEntry]) -> "Artifact":
        """The same artifact as if it held these of its files alone, to read from."""
        listed = [dataclasses.asdict(entry) for entry in entries]
        return dataclasses.replace(self, manifest={**self.manifest, "files": listed})

    @property
    def rows(self) -> int:
        """The number of rows in its Parquet files."""
        return sum(entry.rows for entry in self.files)

    @property
    def figures(self) -> dict[str, Any]:
        """What the step measured."""
        return dict(self.manifest["figures"])

    def read_bytes(self, name: str) -> bytes:
        """The content of one of its other files, compared with the manifest's digest."""
        content = read_bytes(self.store.fs, f"{self.folder}/{name}")
        if digest.sha256(content) != self.manifest["blobs"].get(name):
            raise StoreError(f"{self.uri}/{name} was altered after it was written. Delete {self.uri} and run again.")
        return content

    def note(self, name: str, content: bytes) -> None:
        """Write the digest of a file that was replaced into the manifest: of a signature, which is no content."""
        manifest = {**self.manifest, "blobs": {**self.manifest["blobs"], name: digest.sha256(content)}}
        text = json.dumps(manifest, indent=1, default=str)
        write_bytes(self.store.fs, f"{self.folder}/manifest.json", text.encode())

    def read_json(self, name: str) -> Any:
        """One of its other files, parsed as JSON."""
        return json.loads(self.read_bytes(name))


@dataclass
class Stage:
    """An artifact in the making."""

    store: Store
    kind: str
    key: str
    files: list[FileEntry] = field(default_factory=list)
    blobs: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where its files are written, as the store's filesystem wants it."""
        return self.store.path(self.kind, self.key)

    def write_bytes(self, name: str, content: bytes) -> None:
        """Add a file that is not a table of rows (a model, a report)."""
        write_bytes(self.store.fs, f"{self.folder}/{name}", content)
        self.blobs[name] = digest.sha256(content)

    def write_json(self, name: str, value: Any) -> None:
        """Add a file of readable JSON."""
        self.write_bytes(name, json.dumps(value, indent=1, default=str).encode())

    def adopt(self, artifact: Artifact, entry: FileEntry) -> None:
        """Add a file of another artifact of this store as it is, without reading it."""
        share(self.store.fs, f"{artifact.folder}/{entry.name}", f"{self.folder}/{entry.name}")
        self.files.append(entry)

    def commit(
        self,
        parents: dict[str, str],
        config: Any,
        figures: dict[str, Any] | None = None,
        schema: list[list[str]] | None = None,
        **extra: Any,
    ) -> Artifact:
        """The finished artifact: its manifest is written, and with it the folder exists."""
        manifest = {
            "format": FORMAT, "kind": self.kind, "key": self.key, "parents": parents,
            "config_digest": digest.digest(config), "config": json.loads(digest.canonical(config)),
            "code": code_version(), "created": dt.datetime.now(dt.UTC).isoformat(), "schema": schema or [],
            "files": [dataclasses.asdict(entry) for entry in self.files], "blobs": self.blobs,
            "figures": figures or {}, **extra,
        }  # fmt: skip
        text = json.dumps(manifest, indent=1, default=str)
        write_bytes(self.store.fs, f"{self.folder}/manifest.json", text.encode())
        return Artifact(self.store, self.kind, self.key, json.loads(text))


@cache
def code_version() -> str:
    """The commit of the running code, with `+changed` where the tree differs from it; `unknown` outside a checkout.

    A job's is that of the checkout which it was submitted from (WORKBENCH_CODE).
    """
    if said := os.environ.get("WORKBENCH_CODE"):
        return said
    here = Path(__file__).parent
    try:
        run = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+changed", "--exclude=*"]
        return subprocess.run(run, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _parse(path: str, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is not a manifest. Delete its folder and run the step again.") from error
    if found != FORMAT:
        raise StoreError(f"{path} has format {found}; this version reads format {FORMAT}. Use another storage.root.")
    return dict(manifest)
