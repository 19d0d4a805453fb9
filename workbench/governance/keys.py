"""The three secrets: what signs models, what hides identities, what opens the endpoint (its clients': `api_keys.py`).

Each comes from the environment (jobs, containers) or from a file of mode 0600 in `keys.folder`, made at first use. The
folder is never inside the store. Paths are shown, keys never.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from workbench.errors import EnvironmentFault

API_KEY_PREFIX = "wb_"
API_KEY_CHARACTERS = 32  # at least: `proof` gives whoever asks /readyz something to try guessed keys by
OLD = "signing.key.old"


class Keys:
    """The secrets of one installation."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).expanduser()

    def signing(self) -> Ed25519PrivateKey:
        """The key that signs model versions (WORKBENCH_SIGNING_KEY: 64 hex digits)."""
        return Ed25519PrivateKey.from_private_bytes(self._hex("WORKBENCH_SIGNING_KEY", "signing.key"))

    def verifying(self) -> Ed25519PublicKey:
        """What checks those signatures, no secret (WORKBENCH_VERIFYING_KEY; else it follows from the signing key)."""
        if os.environ.get("WORKBENCH_VERIFYING_KEY"):
            return Ed25519PublicKey.from_public_bytes(self._hex("WORKBENCH_VERIFYING_KEY", "signing.key"))
        return self.signing().public_key()

    def retired(self) -> Ed25519PublicKey:
        """What checked the signatures before the key was replaced (WORKBENCH_OLD_SIGNING_KEY, or signing.key.old)."""
        if "WORKBENCH_OLD_SIGNING_KEY" not in os.environ and not (self.folder / OLD).exists():
            raise EnvironmentFault(
                f"There is no {self.folder / OLD}, and no WORKBENCH_OLD_SIGNING_KEY. Move the old key there; a new"
                " signing.key is made at the next use."
            )
        return Ed25519PrivateKey.from_private_bytes(self._hex("WORKBENCH_OLD_SIGNING_KEY", OLD)).public_key()

    def pseudonym(self) -> bytes:
        """The key that turns entities into tokens (WORKBENCH_PSEUDONYM_KEY: 64 hex digits)."""
        return self._hex("WORKBENCH_PSEUDONYM_KEY", "pseudonym.key")

    def api(self) -> str:
        """The key that opens the endpoint (WORKBENCH_API_KEY: at random, of 32 characters or more)."""
        given = os.environ.get("WORKBENCH_API_KEY")
        if given and len(given) < API_KEY_CHARACTERS:
            raise EnvironmentFault(
                f"WORKBENCH_API_KEY has {len(given)} characters; {API_KEY_CHARACTERS} are needed, or it can be guessed."
                " Make one: openssl rand -hex 32. Or unset it."
            )
        key = given or self._file("api.key", API_KEY_PREFIX)
        if not key:
            raise EnvironmentFault(f"{self.folder / 'api.key'} is empty. Delete it; the next start makes one.")
        return key

    def path_of_api_key(self) -> Path | None:
        """Where a person finds the API key; None when it comes from the environment."""
        return None if os.environ.get("WORKBENCH_API_KEY") else self.folder / "api.key"

    def path_of_ray_token(self) -> Path:
        """The file with the token that closes our own Ray; Ray's default file is readable by all."""
        self._file("ray_token", "")
        return self.folder / "ray_token"

    def path_of_jupyter_token(self) -> Path:
        """The file with the token that closes JupyterLab, as JUPYTER_TOKEN_FILE names it."""
        self._file("jupyter_token", "")
        return self.folder / "jupyter_token"

    def _hex(self, variable: str, name: str) -> bytes:
        text = os.environ.get(variable) or self._file(name, "")
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise EnvironmentFault(
                f"{variable} (or {self.folder / name}) must be 64 hex digits. Make a new one, or unset it."
            )
        return key

    def _file(self, name: str, prefix: str) -> str:
        path = self.folder / name
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(prefix + secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):  # whoever links first wins; all use that one
                os.link(draft, path)
            draft.unlink()
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise EnvironmentFault(f"{path} can be read by others. Run: chmod 600 {path}")
        return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all, in the place of what was there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def token(key: bytes, domain: str, value: object) -> str:
    """The pseudonym of an entity in a domain (`customer_id`): 32 hex digits of HMAC-SHA256, the same for 7 and "7"."""
    return hmac.new(key, f"{domain}:{value}".encode(), hashlib.sha256).hexdigest()[:32]


def api_key_digest(api_key: str) -> str:
    """What the endpoint is given to recognise a key by. A 256-bit random key needs no slow hash."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def proof(api_key_digest: str, settings: str, nonce: str) -> str:
    """What only an endpoint that was given that digest can answer to a nonce: the key may be sent to it."""
    return hmac.new(api_key_digest.encode(), f"readyz:{settings}:{nonce}".encode(), hashlib.sha256).hexdigest()
