"""The API keys of the endpoint's clients: digests in one file beside the other secrets, which replicas watch.

A key is `wb_`, its id, `_` and 256 random bits. It is written once, into a file of mode 0600 for whoever hands it over;
what is kept is its SHA-256 with client, role, times. A 256-bit random key needs no slow hash. Revoked and expired keys
stay listed, so that none of them can become valid again.
"""

import contextlib
import datetime as dt
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from workbench.errors import ConfigError, EnvironmentFault
from workbench.governance.keys import API_KEY_PREFIX, Keys, api_key_digest, write_private

FILE, LOCK, FOLDER = "api_keys.json", ".api_keys.lock", "client_keys"
DEFAULT = "default"  # the client that has the key which is made at first start
CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of one key."""

    id: str
    client: str
    role: str
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    expires: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    revoked: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None

    def ends(self) -> float:
        """Seconds since 1970 from which on it is refused."""
        return min(one.timestamp() if one else float("inf") for one in (self.expires, self.revoked))

    def state(self, now: dt.datetime) -> str:
        """valid, expired or revoked."""
        return "revoked" if self.revoked else "valid" if now.timestamp() < self.ends() else "expired"


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    keys: list[ApiKey]
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class Register:
    """The keys of all clients of one installation."""

    def __init__(self, folder: str) -> None:
        self.secrets = Keys(folder)
        self.path = self.secrets.folder / FILE

    def read(self) -> list[ApiKey]:
        """All keys, oldest first; none where there is no file."""
        try:
            text, mode = self.path.read_bytes(), self.path.stat().st_mode
        except FileNotFoundError:
            return []
        if mode & (stat.S_IWGRP | stat.S_IWOTH):  # it holds no secret: a mounted one may be read by its group
            raise EnvironmentFault(f"{self.path} can be written by others. Run: chmod 600 {self.path}")
        try:
            return msgspec.json.decode(text, type=Content).keys
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EnvironmentFault(
                f"{self.path} is damaged ({error}). Put back a copy of it, or correct it: without it revoked keys"
                " could not be told."
            ) from None

    def add(self, client: str, role: str, expires: dt.datetime | None) -> tuple[ApiKey, Path]:
        """A new key of a new client, and the file that holds it."""
        if not CLIENT.fullmatch(client) or client == DEFAULT:
            raise ConfigError(
                f"keys.client={client} is no name for a client. Use lower case letters, digits, ., - and _, and not"
                f" {DEFAULT}."
            )
        with self._changing() as keys:
            if any(one.client == client and one.state(_now()) == "valid" for one in keys):
                raise ConfigError(f"keys.client={client} has a key. Use keys.action=rotate to replace it.")
            return self._made(keys, client, role, expires)

    def rotate(
        self, client: str, expires: dt.datetime | None, overlap: dt.timedelta, default_role: str
    ) -> tuple[ApiKey, Path]:
        """A client's next key, in the role that it has, and the file that holds it; the earlier ones end soon."""
        end = _now() + overlap
        with self._changing() as keys:
            self._list_default(keys, client, default_role)
            own = self._of(keys, client)
            for one in own:
                if one.state(_now()) == "valid" and one.ends() > end.timestamp():
                    keys[keys.index(one)] = msgspec.structs.replace(one, expires=end)
            return self._made(keys, client, own[-1].role, expires)

    def revoke(self, client: str, identity: str | None, default_role: str) -> list[ApiKey]:
        """The keys of a client, or its one key, that are refused from now on."""
        with self._changing() as keys:
            self._list_default(keys, client, default_role)
            meant = [one for one in self._of(keys, client) if identity in (None, one.id) and not one.revoked]
            if not meant:
                raise ConfigError(f"keys.client={client} has no such key that is not revoked. See keys.action=list.")
            for one in meant:
                keys[keys.index(one)] = msgspec.structs.replace(one, revoked=_now())
            self._write(keys)
            return meant

    def _of(self, keys: list[ApiKey], client: str) -> list[ApiKey]:
        if own := [one for one in keys if one.client == client]:
            return own
        known = ", ".join(sorted({DEFAULT, *(one.client for one in keys)}))
        raise ConfigError(f"keys.client={client} has no key. Use keys.action=add, or one of: {known}.")

    def _list_default(self, keys: list[ApiKey], client: str, role: str) -> None:
        """What is made at first start is listed as soon as something is to be said of it."""
        if client != DEFAULT:
            return
        self._path_of_default()
        digest = api_key_digest(self.secrets.api())
        if all(one.digest != digest for one in keys):
            keys.insert(0, ApiKey("first", DEFAULT, role, digest, _now()))

    def _made(self, keys: list[ApiKey], client: str, role: str, expires: dt.datetime | None) -> tuple[ApiKey, Path]:
        identity = secrets.token_hex(4)
        key = f"{API_KEY_PREFIX}{identity}_{secrets.token_hex(32)}"
        entry = ApiKey(identity, client, role, api_key_digest(key), _now(), expires)
        path = self.path.parent / FOLDER / f"{client}.{identity}.key"
        if client == DEFAULT:
            path = self._path_of_default()
        keys.append(entry)
        self._write(keys)  # first: whoever finds the new key is let in
        write_private(path, key)
        return entry, path

    def _path_of_default(self) -> Path:
        if (path := self.secrets.path_of_api_key()) is None:
            raise ConfigError(
                f"keys.client={DEFAULT} has its key from WORKBENCH_API_KEY. Change it there, and start the endpoint"
                " again."
            )
        return path

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[ApiKey]]:
        """The keys, to be changed by one process at a time."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path.parent / LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # which the kernel takes from a process that dies
            yield self.read()
        finally:
            os.close(lock)

    def _write(self, keys: list[ApiKey]) -> None:
        content = msgspec.json.format(msgspec.json.encode(Content(keys)), indent=1).decode()
        write_private(self.path, content + "\n")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
