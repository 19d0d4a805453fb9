"""What may be configured of keys and of access to the endpoint."""

from dataclasses import dataclass, field


@dataclass
class KeysConfig:
    """Where secrets lie, never inside the store; and what `python -m workloads.keys` does with the API keys."""

    folder: str = "~/.config/ray-ai-workbench"  # all keys, mode 0600, made at first use; digests of the clients' keys
    action: str = "list"  # workloads.keys: list | add | rotate | revoke
    client: str | None = None  # add, rotate, revoke: whose key; `default` has the key that is made at first start
    role: str | None = None  # add: one of serve.access.roles
    id: str | None = None  # revoke: the one key that is meant, as list shows it; null: all keys of the client
    days: float | None = 90.0  # add, rotate: until the new key expires; null: never
    overlap_hours: float = 24.0  # rotate: how long the client's earlier keys stay valid


@dataclass
class OidcConfig:
    """Whose bearer tokens (OpenID Connect) the endpoint takes besides API keys."""

    issuer: str | None = None  # the tokens' `iss`; null: none are taken
    audience: str | None = None  # what their `aud` must name
    jwks: str | None = None  # the issuer's public keys: a file, or an https:// URL
    algorithms: list[str] = field(default_factory=lambda: ["RS256", "ES256"])  # that may sign; no shared secrets
    client_claim: str = "sub"  # the claim that names the client
    role_claim: str = "roles"  # the claim that names its roles; a dot leads into an object (realm_access.roles)
    roles: dict[str, str] = field(default_factory=dict)  # the claim's value: one of serve.access.roles
    leeway_s: float = 30.0  # seconds that clocks may differ
    refresh_s: float = 300.0  # seconds between two looks at the issuer's keys
    timeout_s: float = 3.0  # seconds that a look may take; requests never wait for one


@dataclass
class AccessConfig:
    """Who may ask what of the endpoint: what is not named is denied."""

    open: list[str] = field(default_factory=list)  # routes that need no key, as METHOD /path
    roles: dict[str, list[str]] = field(default_factory=dict)  # role: the routes that it may ask, as METHOD /path
    default_role: str = "admin"  # of the key that is made at first start, and of WORKBENCH_API_KEY
    rates: dict[str, float] = field(default_factory=dict)  # role: requests a second of each client; others: no limit
    burst_s: float = 2.0  # so many seconds of a rate may come at once
    body_timeout_s: float = 10.0  # seconds in which a request's body must arrive; a slower one is refused with 408
    watch_s: float = 1.0  # seconds between two looks at the file of keys: how soon a revocation holds
    audit_file_bytes: int = 16_777_216  # size at which the audit log begins a new file
    oidc: OidcConfig = field(default_factory=OidcConfig)
