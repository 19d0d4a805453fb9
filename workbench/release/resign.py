"""The signatures of all model versions, made anew by a new key: each is first held to the old one's."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from workbench.data.store import Artifact, Store
from workbench.errors import StoreError, raise_all
from workbench.models import bundle


@dataclass(frozen=True)
class Resigned:
    """The versions that have a new signature, and those that had it already."""

    signed: list[str]
    before: list[str]


def resign(store: Store, old: Ed25519PublicKey, new: Ed25519PrivateKey) -> Resigned:
    """What was signed; raises `StoreError` with every version that neither key knows, before any is touched.

    A repeat goes on where it was cut off.
    """
    versions = [store.get("models", key) for key in store.keys("models")]
    before = [one for one in versions if _refusal(one, new.public_key()) is None]
    others = [one for one in versions if one not in before]
    raise_all(StoreError, "No version was signed:", [told for one in others if (told := _refusal(one, old))])
    for one in others:
        bundle.sign(one, new)
    return Resigned([one.key for one in others], [one.key for one in before])


def _refusal(version: Artifact, key: Ed25519PublicKey) -> str | None:
    """Why a version is not what this key has signed; None: it is."""
    try:
        bundle.verified_files(version, key)
    except StoreError as error:
        return str(error)
    return None
