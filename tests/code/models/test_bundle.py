"""What is loaded is what was signed here under this name: anything else is refused before it is parsed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.code.models.linear import member
from workbench.data.store import Artifact, Store
from workbench.digest import canonical, sha256
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.models import bundle, graph
from workbench.models.bundle import MANIFEST, MODEL, SIGNATURE

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ABOUT = {"members": ["a", "b"], "weights": [0.75, 0.25], "threshold": 0.9}
FEATURES = FeatureSet((), "id", "time", "known_time")
FILES = {
    MODEL: graph.merge({"a": member([1.0]), "b": member([2.0])}, [0.75, 0.25], 0.0, 1),
    "features.json": json.dumps(FEATURES.to_json()).encode(),
    "reference.json": b'{"profile": {}}',
    "card.json": b'{"experiment": "small"}',
    "members/a": b"native",
}
PARSED = ("features.json", "reference.json", "card.json", MODEL, MANIFEST)


def written(store: Store, files: dict[str, bytes] = FILES, key: Ed25519PrivateKey = KEY) -> Artifact:
    return bundle.write(store, "v1", files, ABOUT, key, {"run": "r1"}, {"ensemble": {"roc_auc": 0.9}})


def path(version: Artifact, name: str) -> Path:
    return Path(version.folder) / name


def opened(version: Artifact) -> bundle.Bundle:
    return bundle.open_bundle(version, KEY.public_key())


def resigned(version: Artifact, changes: dict[str, Any]) -> Artifact:
    """The same files under a manifest that says otherwise, rightly signed."""
    manifest = canonical(json.loads(path(version, MANIFEST).read_bytes()) | changes)
    path(version, MANIFEST).write_bytes(manifest)
    path(version, SIGNATURE).write_bytes(KEY.sign(manifest))
    return version


def test_a_version_opens_as_it_was_written(store: Store) -> None:
    one = opened(written(store))
    assert (one.version, one.threshold, one.members, one.weights) == ("v1", 0.9, ("a", "b"), (0.75, 0.25))
    assert (one.card, one.reference) == ({"experiment": "small"}, {"profile": {}})
    assert one.feature_set == FEATURES
    assert one.scorer.one([4.0])[1] == [4.0, 8.0]


def test_a_version_opens_from_a_store_that_was_moved(store: Store, tmp_path: Path) -> None:
    written(store)
    shutil.copytree(store.root, tmp_path / "moved")
    assert opened(Store(str(tmp_path / "moved")).get("models", "v1")).version == "v1"


def test_the_version_knows_its_parents_and_figures(store: Store) -> None:
    version = written(store)
    assert version.manifest["parents"] == {"run": "r1"}
    assert version.figures == {"ensemble": {"roc_auc": 0.9}}


def test_every_file_is_digested_in_what_is_signed(store: Store) -> None:
    about, files = bundle.verified_files(written(store), KEY.public_key())
    assert files == FILES
    assert about["files"] == {name: sha256(content) for name, content in FILES.items()}


@pytest.mark.parametrize("name", PARSED)
@pytest.mark.parametrize("poison", [b"", b"{", b"\x80\x04\x95", b"[" * 100_000])
def test_a_file_that_no_parser_survives_is_refused_before_any_parser_sees_it(
    store: Store, name: str, poison: bytes
) -> None:
    version = written(store)
    path(version, name).write_bytes(poison)
    with pytest.raises(StoreError, match="Do not use it"):
        opened(version)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_a_missing_file_is_refused_by_its_name(store: Store, name: str) -> None:
    version = written(store)
    path(version, name).unlink()
    with pytest.raises(StoreError, match=rf"{name} is listed but missing"):
        opened(version)


def test_two_files_that_changed_places_are_refused(store: Store) -> None:
    version = written(store)
    path(version, "card.json").write_bytes(FILES["reference.json"])
    path(version, "reference.json").write_bytes(FILES["card.json"])
    with pytest.raises(StoreError, match=r"reference\.json") as caught:
        opened(version)
    assert "card.json" in str(caught.value), "both are named"


def test_a_file_that_was_added_to_a_version_is_refused(store: Store) -> None:
    stage = store.stage("models", "v1")
    stage.blobs = dict(written(store).manifest["blobs"])
    stage.write_bytes("members/c", b"a stranger")
    with pytest.raises(StoreError, match="members/c was added after the signature"):
        opened(stage.commit({}, ABOUT))


@pytest.mark.parametrize("signature", [b"", b"\x00" * 64, KEY.sign(b"something else"), KEY.sign(b"") * 2])
def test_a_signature_of_nothing_or_of_something_else_is_refused(store: Store, signature: bytes) -> None:
    version = written(store)
    path(version, SIGNATURE).write_bytes(signature)
    with pytest.raises(StoreError, match="was not signed with this installation's key"):
        opened(version)


def test_a_version_that_another_installation_signed_is_refused(store: Store) -> None:
    foreign = written(store, key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(StoreError, match="was not signed with this installation's key"):
        opened(foreign)


def test_a_signed_version_under_another_name_is_refused(store: Store) -> None:
    shutil.copytree(written(store).folder, store.path("models", "v2"))
    manifest = json.loads(Path(store.path("models", "v2", "manifest.json")).read_text())
    with pytest.raises(StoreError, match="bundle of format 1, version v1: not this one"):
        opened(Artifact(store, "models", "v2", manifest))


@pytest.mark.parametrize("changes", [{"format": 2}, {"format": "1"}, {"version": "v2"}])
def test_a_signed_manifest_of_another_format_or_version_is_refused(store: Store, changes: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="not this one"):
        opened(resigned(written(store), changes))


def test_the_store_does_not_list_a_version_whose_writing_stopped(store: Store) -> None:
    version = written(store)
    path(version, "manifest.json").unlink()
    assert store.find("models", "v1") is None
