"""What is wrong with the table of roles, the rates, the issuer of tokens and the keys' settings."""

import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from workbench.governance.settings import AccessConfig, KeysConfig, OidcConfig

ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /[\w./:{}-]*")
ROLE = re.compile(r"[a-z][a-z0-9_-]*")
ACTIONS = ("list", "add", "rotate", "revoke")
SIGNING = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LATEST_S = 4.0  # a revocation must hold within five seconds


def faults(access: AccessConfig, keys: KeysConfig) -> Iterator[str]:
    """Every fault, with key, value, rule and remedy."""
    yield from _table_faults(access)
    yield from _number_faults(access, keys)
    yield from _oidc_faults(access)
    if keys.action not in ACTIONS:
        yield f"keys.action={keys.action} is unknown. Use one of: {', '.join(ACTIONS)}."


def _table_faults(access: AccessConfig) -> Iterator[str]:
    named = {"open": access.open, **{f"roles.{role}": routes for role, routes in access.roles.items()}}
    for key, routes in named.items():
        if odd := [route for route in routes if not ROUTE.fullmatch(route)]:
            yield f"serve.access.{key}={odd} names no route. Use METHOD /path, such as POST /v1/score."
    if changing := [route for route in access.open if ROUTE.fullmatch(route) and not route.startswith("GET ")]:
        yield f"serve.access.open={changing}: only what is read (GET) may be open to all. Name it in a role."
    if odd := [role for role in access.roles if not ROLE.fullmatch(role)]:
        yield f"serve.access.roles={odd} is no name. Use lower case letters, digits, - and _."
    yield from _unknown("default_role", [access.default_role], access)
    yield from _unknown("rates", access.rates, access)
    yield from _unknown("oidc.roles", access.oidc.roles.values(), access)


def _unknown(key: str, roles: Any, access: AccessConfig) -> Iterator[str]:
    if odd := sorted(set(roles) - set(access.roles)):
        known = ", ".join(sorted(access.roles)) or "none: choose the group serve=standard"
        yield f"serve.access.{key}={', '.join(odd)} is no role of serve.access.roles. Use one of: {known}."


def _number_faults(access: AccessConfig, keys: KeysConfig) -> Iterator[str]:
    positive = {
        "serve.access.burst_s": access.burst_s,
        "serve.access.body_timeout_s": access.body_timeout_s,
        "serve.access.audit_file_bytes": access.audit_file_bytes,
        "serve.access.oidc.refresh_s": access.oidc.refresh_s,
        "serve.access.oidc.timeout_s": access.oidc.timeout_s,
        "keys.days": keys.days,
        **{f"serve.access.rates.{role}": rate for role, rate in access.rates.items()},
    }
    for key, value in positive.items():
        if value is not None and not 0 < value < math.inf:
            yield f"{key}={value} must be greater than 0 and finite."
    for key, value in {
        "serve.access.oidc.leeway_s": access.oidc.leeway_s,
        "keys.overlap_hours": keys.overlap_hours,
    }.items():
        if not 0 <= value < math.inf:
            yield f"{key}={value} must be at least 0 and finite."
    if not 0 < access.watch_s <= LATEST_S:
        yield f"serve.access.watch_s={access.watch_s} must be greater than 0 and at most {LATEST_S:g}."


def _oidc_faults(access: AccessConfig) -> Iterator[str]:
    oidc = access.oidc
    if odd := sorted(set(oidc.algorithms) - set(SIGNING)):
        yield (
            f"serve.access.oidc.algorithms={', '.join(odd)} may not sign: whoever holds the key that verifies could"
            f" sign as well, or nobody has to. Use some of: {', '.join(SIGNING)}."
        )
    if oidc.issuer is None:
        return
    missing = [key for key in ("audience", "jwks", "algorithms", "roles") if not getattr(oidc, key)]
    yield from (f"serve.access.oidc.{key} is not set, and serve.access.oidc.issuer needs it." for key in missing)
    yield from _jwks_faults(oidc)


def _jwks_faults(oidc: OidcConfig) -> Iterator[str]:
    """Whoever can change the keys on their way can make any token."""
    url = urlsplit(oidc.jwks or "")
    if url.scheme in ("", "https") or (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")):
        return
    yield f"serve.access.oidc.jwks={oidc.jwks} can be changed on its way. Use a file or an https:// URL."
