"""A table of roles that opens more than it says, or trusts a token it cannot check, is refused before a start."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workbench.governance import access_rules
from workbench.governance.settings import OidcConfig
from workbench.validation import validate
from workbench.value_rules import lookup
from workloads import door

OIDC = OidcConfig(
    issuer="https://id.example.com", audience="workbench", jwks="https://id.example.com/keys", roles={"f": "scorer"}
)
FAULTS: dict[str, tuple[str, Any, str]] = {
    "what changes is open": ("serve.access.open", ["POST /v1/score"], r"only what is read (GET) may be open to all"),
    "no method": ("serve.access.open", ["/healthz"], "open=['/healthz'] names no route. Use METHOD /path"),
    "no path": ("serve.access.roles.scorer", ["POST v1"], "roles.scorer=['POST v1'] names no route"),
    "odd role": ("serve.access.roles.Admin", [], "roles=['Admin'] is no name"),
    "no such default": ("serve.access.default_role", "owner", "default_role=owner is no role of"),
    "rate of nobody": ("serve.access.rates.scorers", 5, "rates=scorers is no role"),
    "no rate": ("serve.access.rates.scorer", 0, "rates.scorer=0 must be greater than 0"),
    "no burst": ("serve.access.burst_s", 0, "burst_s=0 must be greater than 0"),
    "slow to revoke": ("serve.access.watch_s", 5, "watch_s=5 must be greater than 0 and at most 4"),
    "shared secret": ("serve.access.oidc.algorithms", ["RS256", "HS256"], "algorithms=HS256 may not sign: whoever"),
    "no signature": ("serve.access.oidc.algorithms", ["none"], "algorithms=none may not sign"),
    "token's role": ("serve.access.oidc.roles", {"fraud": "owner"}, "oidc.roles=owner is no role"),
    "no such act": ("keys.action", "delete", "keys.action=delete is unknown. Use one of: list, add, rotate, revoke"),
    "no life": ("keys.days", 0, "keys.days=0 must be greater than 0"),
    "no overlap": ("keys.overlap_hours", -1, "keys.overlap_hours=-1 must be at least 0"),
}


@pytest.fixture(scope="module")
def default() -> Config:
    return door.composed([])


def changed(cfg: Config, key: str, value: Any) -> Config:
    section, _, name = key.rpartition(".")
    found = lookup(own := copy.deepcopy(cfg), section)
    if isinstance(found, dict):
        found[name] = value
    else:
        setattr(found, name, value)
    return own


def faults(cfg: Config) -> list[str]:
    return list(access_rules.faults(cfg.serve.access, cfg.keys))


@pytest.mark.parametrize(("key", "value", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_key(default: Config, key: str, value: Any, said: str) -> None:
    (told,) = faults(changed(default, key, value))
    assert said in told
    with pytest.raises(ConfigError, match=re.escape(said)):
        validate(changed(default, key, value))


@pytest.mark.parametrize("key", ["audience", "jwks", "algorithms", "roles"])
def test_an_issuer_needs_all_that_its_tokens_are_checked_with(default: Config, key: str) -> None:
    cfg = changed(default, "serve.access.oidc", OIDC)
    assert faults(cfg) == []
    (told,) = faults(changed(cfg, f"serve.access.oidc.{key}", [] if key == "algorithms" else None or {}))
    assert f"serve.access.oidc.{key} is not set" in told


JWKS = {
    "https://id.example.com/keys": True, "/etc/workbench/jwks.json": True, "http://127.0.0.1:80/keys": True,
    "http://id.example.com/keys": False, "ftp://id.example.com/keys": False, "http://127.0.0.1.example.com/": False,
}  # fmt: skip


@pytest.mark.parametrize(("jwks", "right"), JWKS.items())
def test_an_issuers_keys_do_not_come_in_the_clear(default: Config, jwks: str, right: bool) -> None:
    cfg = changed(changed(default, "serve.access.oidc", OIDC), "serve.access.oidc.jwks", jwks)
    assert faults(cfg) == [] if right else "can be changed on its way" in faults(cfg)[0]


def test_where_no_table_is_chosen_the_group_is_named(default: Config) -> None:
    cfg = changed(changed(default, "serve.access.roles", {}), "serve.access.rates", {})
    assert "none: choose the group serve=standard" in faults(cfg)[0]


def test_the_issuer_in_the_readme_is_one_beside_the_table_that_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: Config
) -> None:
    said = re.search(
        r"```yaml\n(defaults: \[standard\].*?)```", (door.CONF.parent / "serve" / "README.md").read_text(), re.S
    )
    assert said
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve" / "ours.yaml").write_text(said[1])
    monkeypatch.setenv(door.OWN_FOLDER, str(tmp_path))
    access = door.composed(["serve=ours"]).serve.access
    assert access.oidc.roles == {"fraud-scoring": "scorer", "fraud-desk": "analyst"}
    assert access.roles == default.serve.access.roles
