"""After the signing key was replaced every version is signed anew; what the old key did not sign never is."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.code.models import test_bundle
from workbench.data.parquet import read_bytes
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, StoreError
from workbench.governance.keys import OLD, Keys
from workbench.models import bundle
from workbench.release.resign import Resigned, resign

NEW = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
BEFORE = test_bundle.KEY.public_key()


def version(store: Store, name: str, key: Ed25519PrivateKey = test_bundle.KEY) -> Artifact:
    return bundle.write(store, name, test_bundle.FILES, test_bundle.ABOUT, key, {"run": "r"}, {})


def test_a_version_opens_by_the_new_key_alone_and_a_repeat_finds_it_done(store: Store) -> None:
    version(store, "v1")
    version(store, "v2", NEW)
    assert resign(store, BEFORE, NEW) == Resigned(["v1"], ["v2"])
    again = store.get("models", "v1")
    assert bundle.open_bundle(again, NEW.public_key()).version == "v1"
    assert again.read_bytes(bundle.SIGNATURE) == read_bytes(store.fs, f"{again.folder}/{bundle.SIGNATURE}")
    with pytest.raises(StoreError, match="was not signed with this installation's key"):
        bundle.open_bundle(again, BEFORE)
    assert resign(store, BEFORE, NEW) == Resigned([], ["v1", "v2"])


def test_nothing_is_signed_while_a_version_is_nobodys_and_all_of_those_are_named(store: Store) -> None:
    version(store, "good")
    stranger = version(store, "stranger", Ed25519PrivateKey.generate())
    altered = version(store, "altered")
    Path(altered.folder, "card.json").write_bytes(b'{"experiment": "another"}')
    with pytest.raises(StoreError) as refused:
        resign(store, BEFORE, NEW)
    assert stranger.uri in str(refused.value) and altered.uri in str(refused.value)
    assert bundle.open_bundle(store.get("models", "good"), BEFORE).version == "good"


def test_a_signing_that_was_cut_off_between_manifest_and_signature_is_done_again(store: Store) -> None:
    one = version(store, "v1")
    one.note(bundle.SIGNATURE, NEW.sign(read_bytes(store.fs, f"{one.folder}/{bundle.MANIFEST}")))
    assert resign(store, BEFORE, NEW) == Resigned(["v1"], [])
    assert store.get("models", "v1").read_bytes(bundle.SIGNATURE)
    assert json.loads(store.get("models", "v1").read_bytes("card.json")) == {"experiment": "small"}


def test_the_old_key_comes_from_its_file_or_the_environment_and_is_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(str(tmp_path))
    with pytest.raises(EnvironmentFault, match="Move the old key there"):
        keys.retired()
    before = keys.verifying()
    (tmp_path / "signing.key").rename(tmp_path / OLD)
    assert keys.retired() == before != keys.verifying()
    (tmp_path / OLD).unlink()
    monkeypatch.setenv("WORKBENCH_OLD_SIGNING_KEY", bytes(range(32)).hex())
    assert keys.retired() == BEFORE
