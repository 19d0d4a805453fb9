"""A model version in one folder with all that scores it on a host without our store, such as SageMaker.

package.json   the endpoint's settings and the SHA-256 of every other file
package.sig    Ed25519 signature of package.json: nothing is parsed before it is known to be ours
store/         a store of the version, the events that its features look back at, their labels, the tables they look up
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pyarrow import fs

from serve.settings import Settings
from workbench.config import DataConfig
from workbench.data import labels, snapshots
from workbench.data.store import Artifact, Store
from workbench.data.versions import Versions
from workbench.digest import digest, sha256
from workbench.errors import InputError, StoreError
from workbench.features.definitions import FeatureSet

FORMAT = 1
MANIFEST, SIGNATURE, STORE = "package.json", "package.sig", "store"


class Package(msgspec.Struct, forbid_unknown_fields=True):
    """What `package.json` holds."""

    format: int
    settings: Settings
    files: dict[str, str]


def write(folder: Path, source: Store, settings: Settings, signing_key: Ed25519PrivateKey) -> None:
    """Fill an empty folder with a signed package of the version that the settings name."""
    target = Store(str(folder / STORE))
    target.begin()
    version = source.get("models", settings.version)
    _copy(version, target)
    for key in settings.dimensions.values():
        _copy(source.get("dimensions", key), target)
    feature_set = FeatureSet.from_json(version.read_json("features.json"))
    if settings.history_until_us is not None and feature_set.entities:
        _write_history(source, target, settings, feature_set)
    manifest = msgspec.json.encode(Package(FORMAT, _portable(settings), _digests(folder)))
    (folder / MANIFEST).write_bytes(manifest)
    (folder / SIGNATURE).write_bytes(signing_key.sign(manifest))


def key(settings: Settings, public_key: Ed25519PublicKey) -> str:
    """The name of the package of these settings that the owner of that key signs."""
    return digest("package", FORMAT, _portable(settings), public_key.public_bytes_raw().hex())


def opened(folder: Path, public_key: Ed25519PublicKey, work: Path) -> Settings:
    """The settings of a package that is ours and whole, with a store that may be written to, copied to `work`."""
    try:
        manifest, signature = ((folder / name).read_bytes() for name in (MANIFEST, SIGNATURE))
    except OSError as error:
        raise InputError(
            f"{folder} holds no package ({error.strerror}: {error.filename}). Give the host the model.tar.gz that"
            " `workloads.deploy target=sagemaker` or the train command made."
        ) from None
    try:
        public_key.verify(signature, manifest)
    except InvalidSignature:
        raise StoreError(
            f"{folder} was not signed with the key that belongs to WORKBENCH_VERIFYING_KEY, or was altered. Do not use"
            " it: set the key of the installation that made it, or make it again."
        ) from None
    package = _checked(folder, manifest)
    shutil.copytree(folder / STORE, work / STORE, dirs_exist_ok=True)
    return dataclasses.replace(package.settings, store=str(work / STORE))


def placed(settings: Settings, store: str | None, journal: str, keys_folder: str) -> Settings:
    """The settings where they are used: with a store that is shared (None: the package's own), a journal and keys."""
    settings = dataclasses.replace(settings, store=store or settings.store, keys_folder=keys_folder)
    return dataclasses.replace(settings, journal=str(Path(journal).resolve()))


def _portable(settings: Settings) -> Settings:
    """The settings without what each host has of its own."""
    return dataclasses.replace(settings, store="", journal="", keys_folder="", api_key_digest="", cores=())


def _checked(folder: Path, manifest: bytes) -> Package:
    """What was signed, after every file was compared with it."""
    try:
        package = msgspec.json.decode(manifest, type=Package)
    except msgspec.ValidationError as error:
        raise StoreError(f"{folder}/{MANIFEST} is of another version ({error}). Make the package again.") from None
    if package.format != FORMAT:
        raise StoreError(f"{folder} has format {package.format}; this version reads {FORMAT}. Make the package again.")
    there = _digests(folder)
    wrong = sorted(name for name in there.keys() | package.files.keys() if there.get(name) != package.files.get(name))
    if wrong:
        raise StoreError(f"{folder}: {', '.join(wrong[:5])} differs from what was signed. Do not use it.")
    return package


def _write_history(source: Store, target: Store, settings: Settings, feature_set: FeatureSet) -> None:
    """The events that the state begins with and no others, with their labels."""
    until_us = int(settings.history_until_us or 0)
    since, until = (pa.scalar(us, pa.int64()).cast(labels.TIME) for us in (until_us - feature_set.memory_us, until_us))
    time = feature_set.event_time
    validated = source.get("validated", settings.validated_key)
    rows = _rows(settings.data, validated, (pc.field(time) >= since) & (pc.field(time) < until))
    snapshots.write(
        target, "validated", settings.validated_key, rows,
        parents={"whole": validated.key}, config={"since": str(since), "until": str(until)},
    )  # fmt: skip
    told = labels.read(source, settings.raw_key, until.as_py())
    recent = told.filter(pc.fill_null(pc.greater_equal(told["event_time"], since), True))
    labels.ledger(target, settings.raw_key).append(recent, "package", 1)


def _rows(data: DataConfig, validated: Artifact, chosen: Any) -> pa.Table:
    versions = Versions.of(data)
    return versions.read(validated, chosen) if versions else snapshots.read(validated, rows=chosen)


def _copy(artifact: Artifact, target: Store) -> None:
    target.fs.create_dir(target.path(artifact.kind, artifact.key), recursive=True)
    fs.copy_files(
        artifact.folder,
        target.path(artifact.kind, artifact.key),
        source_filesystem=artifact.store.fs,
        destination_filesystem=target.fs,
    )


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file but the two that say it, by its path in the folder."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: sha256((folder / name).read_bytes()) for name in sorted(names) if name not in (MANIFEST, SIGNATURE)}
