"""The API keys that a replica knows, by their digests; the file of keys is watched, and read when it changes."""

import logging

from serve.principals import Principal, Roles
from workbench.errors import EnvironmentFault
from workbench.governance.api_keys import DEFAULT, Register

Stamp = tuple[int, int, int]
log = logging.getLogger("ray.serve")


class KnownKeys:
    """Who each digest belongs to; the default key's is known without the file, until the file says otherwise."""

    def __init__(self, folder: str, default_digest: str, default_role: str, roles: Roles) -> None:
        self._register, self._roles = Register(folder), roles
        self._given, self._default = default_digest, {default_digest: roles.principal(DEFAULT, [default_role])}
        self._told: str | None = None
        self._stamp = self._stamped()
        self.default_digest = default_digest  # of the key that our own steps send now
        self.by_digest = self._read()

    def look(self) -> None:
        """Read the file again where it changed; while it cannot be read, or is gone, what was known stays known."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            if stamp is None:  # to forget it would let in whom it had revoked
                raise EnvironmentFault(f"{self._register.path} is gone. Put it back, or start the endpoint again.")
            self.by_digest, self._stamp, self._told = self._read(), stamp, None
        except (EnvironmentFault, OSError) as error:
            if self._told != str(error):  # once, not in every round
                log.error("the API keys stay as they were: %s", error)
            self._told = str(error)

    def _read(self) -> dict[str, Principal]:
        keys = self._register.read()
        if any(one.digest == self._given for one in keys):  # it was exchanged, or taken away
            self.default_digest = next((one.digest for one in reversed(keys) if one.client == DEFAULT), self._given)
        listed = {one.digest: self._roles.principal(one.client, [one.role], one.ends()) for one in keys}
        return self._default | listed

    def _stamped(self) -> Stamp | None:
        """What changes with the file, also where a mounted secret is exchanged by a link."""
        try:
            found = self._register.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
