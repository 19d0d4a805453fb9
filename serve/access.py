"""Who asks, and whether the table of roles lets them: asked once, at the endpoint's door, for every route.

What is not named is denied. A request waits for nothing here but its count where replicas share one: keys, issuers and
what is written late are looked after by a thread beside it.
"""

import hashlib
import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from serve import oidc, rate_limits
from serve.answers import Refusal
from serve.known_keys import KnownKeys
from serve.principals import Asked, Principal, Roles
from serve.refusals import Refusals
from workbench.governance.audit import AuditLog

if TYPE_CHECKING:
    from serve.settings import Settings

log = logging.getLogger("ray.serve")


class Access:
    """The door of one replica."""

    def __init__(self, settings: "Settings") -> None:
        access, roles = settings.access, Roles(settings.access)
        self._open = frozenset(access.open)
        self._keys = KnownKeys(settings.keys_folder, settings.api_key_digest, access.default_role, roles)
        self._tokens = oidc.tokens(access.oidc, roles)
        self._limits = rate_limits.of(settings.application, access.burst_s, settings.redis_url)
        self.audit = AuditLog(settings.journal, settings.application, access.audit_file_bytes)
        self.refusals = Refusals(self.audit)
        threading.Thread(target=self._watch, args=(access.watch_s,), name="access", daemon=True).start()

    def admit(self, asked: Asked, authorization: str | None) -> None:
        """Return where whoever asks may; raises `Refusal`: 401, 403, 429, or 503 where that cannot be known now."""
        if asked.route in self._open:
            return
        who = self._recognised(authorization or "")
        asked.client, asked.rate = who.client, who.rate
        if asked.route not in who.routes:
            raise Refusal(403, "The role of this key does not have this route.")
        self.charge(asked, 1)

    def charge(self, asked: Asked, count: int) -> None:
        """Count a request as so many; raises `Refusal` with 429 where they are more than its client may send."""
        if count < 1 or asked.rate is None or (wait_s := self._limits.take(asked.client, asked.rate, count)) <= 0:
            return
        raise Refusal(429, f"This client may send {asked.rate:g} requests a second.", retry_after=_whole(wait_s))

    @property
    def default_digest(self) -> str:
        """The digest of the key that our own steps send: under it the endpoint proves to them who it is."""
        return self._keys.default_digest

    def _recognised(self, authorization: str) -> Principal:
        scheme, _, said = authorization.partition(" ")
        if scheme.lower() == "bearer" and said:
            # of equal digests only: what can be learnt from the time of a look-up is nothing about a key
            digest = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
            found = self._keys.by_digest.get(digest) or self._tokens.who(said, digest)
            if found is not None and time.time() < found.until:
                return found
        raise Refusal(401, "Send an API key as `Authorization: Bearer wb_...`.", www_authenticate="Bearer")

    def _watch(self, every_s: float) -> None:
        while True:
            time.sleep(every_s)
            for look in (self._keys.look, self._tokens.look, self.refusals.flush):
                try:
                    look()
                except Exception as error:  # noqa: BLE001 - the thread must live on: else no revocation would hold
                    log.error("what is done beside answering for access failed: %s", error)


def _whole(wait_s: float) -> str:
    return str(max(1, math.ceil(wait_s)))
