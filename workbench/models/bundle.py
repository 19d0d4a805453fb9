"""A model version: a signed bundle of data, never code. The signature and every digest are checked before any parsing.

model.onnx      the merged graph that scores
members/*       each member's native file
features.json   the feature definitions
reference.json  what the features and scores looked like, for monitoring
card.json       where it comes from, how good it is, what it is for
bundle.json     version, threshold, members, weights and the SHA-256 of every other file
bundle.sig      Ed25519 signature of bundle.json
"""

import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from workbench.data.parquet import read_bytes, write_bytes
from workbench.data.store import Artifact, Stage, Store
from workbench.digest import canonical, sha256
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.models.scorer import Scorer

FORMAT = 1
MANIFEST, SIGNATURE, MODEL = "bundle.json", "bundle.sig", "model.onnx"
MEMBERS = "members/"


@dataclass(frozen=True)
class Bundle:
    """A verified, loaded model version."""

    version: str
    threshold: float
    members: tuple[str, ...]
    weights: tuple[float, ...]
    scorer: Scorer
    feature_set: FeatureSet
    reference: dict[str, Any]
    card: dict[str, Any]


def write(
    store: Store,
    key: str,
    files: dict[str, bytes],
    about: dict[str, Any],
    signing_key: Ed25519PrivateKey,
    parents: dict[str, str],
    figures: dict[str, Any],
) -> Artifact:
    """The signed version; `about` holds threshold, members and weights."""
    stage: Stage = store.stage("models", key)
    digests = {name: sha256(content) for name, content in sorted(files.items())}
    manifest = canonical({"format": FORMAT, "version": key, "files": digests, **about})
    for name, content in {**files, MANIFEST: manifest, SIGNATURE: signing_key.sign(manifest)}.items():
        stage.write_bytes(name, content)
    return stage.commit(parents, about, figures)


def sign(artifact: Artifact, signing_key: Ed25519PrivateKey) -> None:
    """Put another key's signature in the place of a version's own; who calls this has verified the version."""
    signature = signing_key.sign(_read(artifact, MANIFEST))
    artifact.note(SIGNATURE, signature)  # first: what is cut off here is still the old key's, and done again
    write_bytes(artifact.store.fs, f"{artifact.folder}/{SIGNATURE}", signature)


def verified_files(artifact: Artifact, public_key: Ed25519PublicKey) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the content of every file, or `StoreError`: nothing is parsed before it is known to be ours."""
    manifest = _read(artifact, MANIFEST)
    try:
        public_key.verify(_read(artifact, SIGNATURE), manifest)
    except InvalidSignature:
        raise StoreError(
            f"{artifact.uri} was not signed with this installation's key, or was altered. Do not use it: restore the"
            " signing key, or delete the folder and register again."
        ) from None
    about = json.loads(manifest)
    if about["format"] != FORMAT or about["version"] != artifact.key:
        raise StoreError(
            f"{artifact.uri} is a bundle of format {about['format']}, version {about['version']}: not this one."
        )
    files = {name: _read(artifact, name) for name in about["files"]}
    if altered := [name for name, content in files.items() if sha256(content) != about["files"][name]]:
        raise StoreError(f"{artifact.uri}: {', '.join(altered)} differs from what was signed. Do not use it.")
    if extra := set(artifact.manifest["blobs"]) - set(files) - {MANIFEST, SIGNATURE}:
        raise StoreError(f"{artifact.uri}: {', '.join(sorted(extra))} was added after the signature. Do not use it.")
    return about, files


def members_of(artifact: Artifact, public_key: Ed25519PublicKey) -> dict[str, bytes]:
    """The members' own files by their names, verified."""
    _, files = verified_files(artifact, public_key)
    return {name: content for name, content in files.items() if name.startswith(MEMBERS)}


def open_bundle(artifact: Artifact, public_key: Ed25519PublicKey) -> Bundle:
    """The version, ready to score."""
    about, files = verified_files(artifact, public_key)
    return Bundle(
        version=about["version"],
        threshold=about["threshold"],
        members=tuple(about["members"]),
        weights=tuple(about["weights"]),
        scorer=Scorer(files[MODEL]),
        feature_set=FeatureSet.from_json(json.loads(files["features.json"])),
        reference=json.loads(files["reference.json"]),
        card=json.loads(files["card.json"]),
    )


def _read(artifact: Artifact, name: str) -> bytes:
    return read_bytes(artifact.store.fs, f"{artifact.folder}/{name}")
