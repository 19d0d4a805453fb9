"""Bearer tokens of an OpenID Connect issuer: who they name, or nobody.

Signatures and claims are checked by joserfc, which takes no algorithm that is not listed, chooses a key by the token's
`kid` among the issuer's own only, and never follows what a token says of keys. The issuer's keys are fetched by the
thread that watches; a request never waits for them.
"""

import contextlib
import logging
import time
import urllib.request
from collections.abc import Iterable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Protocol

import msgspec

from serve.answers import Refusal
from serve.principals import Principal, Roles
from workbench.governance.settings import OidcConfig

LONGEST, KEYS_BYTES, CACHED = 8192, 1_000_000, 10_000
AGAIN_S = 10.0  # between two looks for a key that is not known yet
STALE_S = 86_400.0  # after which keys that could not be fetched again are trusted no more
RSA_BITS = 2048
log = logging.getLogger("ray.serve")


class Tokens(Protocol):
    """Recognises bearer tokens."""

    def who(self, token: str, digest: str) -> Principal | None:
        """Who a token names; None where it is not valid."""

    def look(self) -> None:
        """Fetch the issuer's keys where it is time."""


def tokens(cfg: OidcConfig, roles: Roles) -> Tokens:
    """What recognises the tokens of the configured issuer; nothing where there is none."""
    return Issuer(cfg, roles) if cfg.issuer else Nobody()


class Nobody:
    """No issuer is trusted."""

    def who(self, token: str, digest: str) -> Principal | None:  # noqa: ARG002
        """Nobody."""
        return None

    def look(self) -> None:
        """There is nothing to look at."""


class Issuer:
    """The tokens of one issuer."""

    def __init__(self, cfg: OidcConfig, roles: Roles) -> None:
        from joserfc import jwt

        self._cfg, self._roles = cfg, roles
        leeway = round(cfg.leeway_s)
        needed: dict[str, Any] = {name: {"essential": True} for name in ("exp", cfg.client_claim)}
        needed |= {"iss": {"essential": True, "value": str(cfg.issuer)}}
        needed |= {"aud": {"essential": True, "value": str(cfg.audience)}}
        self._claims = jwt.JWTClaimsRegistry(leeway=leeway, **needed)
        self._keys: Any = None
        self._cache: dict[str, Principal] = {}
        self._tried, self._fetched, self._wanted = 0.0, 0.0, True
        self._told = ""
        self.look()

    def who(self, token: str, digest: str) -> Principal | None:
        """Who a token names; None where it is not valid. A token that was checked is known until it ends."""
        if (known := self._cache.get(digest)) is not None:
            return known
        if len(token) > LONGEST or token.count(".") != 2:
            return None
        if self._keys is None:
            raise Refusal(503, "The keys of the tokens' issuer are not known yet; send it again.", retry_after="5")
        if (found := self._checked(token)) is not None:
            if len(self._cache) >= CACHED:
                self._cache.clear()
            self._cache[digest] = found
        return found

    def look(self) -> None:
        """Fetch the issuer's keys where it is time, or where a token names one that is not known."""
        now = time.monotonic()
        pause = min(AGAIN_S, self._cfg.refresh_s) if self._wanted else self._cfg.refresh_s
        if self._tried and now - self._tried < pause:
            return
        self._tried, self._wanted = now, False
        try:
            self._keys, self._fetched, self._told = _imported(_read(self._cfg)), now, ""
            self._cache = {}  # what a key that is gone had signed is checked again
        except Exception as error:  # noqa: BLE001 - whatever an issuer sends: the keys that are known go on
            self._failed(error, now)

    def _failed(self, error: Exception, now: float) -> None:
        self._wanted = True
        if self._told != (said := f"{type(error).__name__}: {error}"):
            log.error("the issuer's keys at %s cannot be fetched: %s", self._cfg.jwks, said)
        self._told = said
        if self._keys is not None and now - self._fetched > STALE_S:
            self._keys, self._cache = None, {}

    def _checked(self, token: str) -> Principal | None:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            found = jwt.decode(token, self._key, algorithms=self._cfg.algorithms)
            self._claims.validate(found.claims)
        except InvalidKeyIdError:
            self._wanted = True
            return None
        except (JoseError, ValueError, TypeError, KeyError, OverflowError):
            return None
        client = found.claims[self._cfg.client_claim]
        if not isinstance(client, str) or not client.isprintable() or len(client) > 200:
            return None
        roles = [self._cfg.roles[one] for one in self._said_roles(found.claims) if one in self._cfg.roles]
        return self._roles.principal(f"token:{client}", roles, float(found.claims["exp"]) + self._cfg.leeway_s)

    def _key(self, given: Any) -> Any:
        """The issuer's key that the token's header names, which a token has to."""
        from joserfc.errors import InvalidKeyIdError

        kid = given.headers().get("kid")
        if not isinstance(kid, str) or not (known := self._keys.get(kid)):
            raise InvalidKeyIdError("unknown")
        return known

    def _said_roles(self, claims: Any) -> Iterator[str]:
        for part in self._cfg.role_claim.split("."):
            claims = claims.get(part) if isinstance(claims, dict) else None
        listed: Iterable[Any] = (
            claims.split() if isinstance(claims, str) else claims if isinstance(claims, list) else []
        )
        return (one for one in listed if isinstance(one, str))


def _imported(content: bytes) -> dict[str, Any]:
    """The keys that may verify, by their names: of the issuer's, those that are public and for signatures."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry
    from joserfc.util import urlsafe_b64decode

    keys = {}
    for one in msgspec.json.decode(content)["keys"]:
        if one.get("kty") not in ("RSA", "EC", "OKP") or one.get("use", "sig") != "sig" or not one.get("kid"):
            continue
        if one["kty"] != "RSA" or len(urlsafe_b64decode(str(one["n"]).encode())) * 8 >= RSA_BITS:
            with contextlib.suppress(JoseError, ValueError):  # one that is damaged takes no other with it
                keys[one["kid"]] = JWKRegistry.import_key(one)
    if not keys:
        raise ValueError("it names no public key for signatures")
    return keys


def _read(cfg: OidcConfig) -> bytes:
    source = str(cfg.jwks)
    if "://" not in source:
        return Path(source).read_bytes()[:KEYS_BYTES]
    opener = urllib.request.build_opener(_NoRedirect)
    until = time.monotonic() + cfg.timeout_s
    with opener.open(source, timeout=cfg.timeout_s) as response:
        return b"".join(_parts(response, until))


def _parts(response: HTTPResponse, until: float) -> Iterator[bytes]:
    """What comes, as long as it comes in time and is not too much."""
    size = 0
    while part := response.read1(65_536):
        size += len(part)
        if size > KEYS_BYTES or time.monotonic() > until:
            raise OSError("it sends too much, or too slowly")
        yield part


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever may redirect could name another's keys."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""
