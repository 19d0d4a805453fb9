"""Give, change and take away the API keys of the endpoint's clients; a key is never printed, only the file that has it.

Reads:  the file of keys (digests)
Writes: the file of keys, which replicas watch; a file with a new key; audit log
Run:    python -m workloads.keys keys.action=list
"""

import datetime as dt
from pathlib import Path

from workbench.config import Config
from workbench.errors import ConfigError, raise_all
from workbench.governance import audit
from workbench.governance.api_keys import DEFAULT, ApiKey, Register
from workbench.progress import say
from workloads import door


def run(cfg: Config) -> None:
    """Do what `keys.action` says, and print the keys that there are, or the path of the file that holds a new one."""
    raise_all(ConfigError, "The key cannot be given:", [*_faults(cfg)])
    acts = {"list": _list, "add": _add, "rotate": _rotate, "revoke": _revoke}
    acts[cfg.keys.action](cfg, Register(cfg.keys.folder))


def _faults(cfg: Config) -> list[str]:
    """What the action needs and does not have."""
    keys, faults = cfg.keys, []
    if keys.action != "list" and keys.client is None:
        faults.append(f"keys.action={keys.action} needs keys.client. Name the client whose key is meant.")
    if keys.action == "add" and keys.role not in cfg.serve.access.roles:
        faults.append(f"keys.role={keys.role} is no role. Use one of: {', '.join(sorted(cfg.serve.access.roles))}.")
    return faults


def _list(cfg: Config, register: Register) -> None:
    now, keys = dt.datetime.now(dt.UTC), register.read()
    print(f"{'client':24} {'id':8} {'role':10} {'state':8} {'created':20} expires")
    if all(one.client != DEFAULT for one in keys) and (path := register.secrets.path_of_api_key()) and path.exists():
        print(f"{DEFAULT:24} {'first':8} {cfg.serve.access.default_role:10} {'valid':8} {'at first start':20} never")
    for one in keys:
        expires = f"{one.expires:%Y-%m-%dT%H:%M:%SZ}" if one.expires else "never"
        state, created = one.state(now), f"{one.created:%Y-%m-%dT%H:%M:%SZ}"
        print(f"{one.client:24} {one.id:8} {one.role:10} {state:8} {created:20} {expires}")


def _add(cfg: Config, register: Register) -> None:
    assert cfg.keys.client is not None and cfg.keys.role is not None
    entry, path = register.add(cfg.keys.client, cfg.keys.role, _expires(cfg))
    _told(cfg, "add", [entry], path)


def _rotate(cfg: Config, register: Register) -> None:
    assert cfg.keys.client is not None
    overlap, role = dt.timedelta(hours=cfg.keys.overlap_hours), cfg.serve.access.default_role
    expires = None if cfg.keys.client == DEFAULT else _expires(cfg)
    entry, path = register.rotate(cfg.keys.client, expires, overlap, role)
    say(f"  the earlier keys of {entry.client} end in {cfg.keys.overlap_hours:g} hours")
    _told(cfg, "rotate", [entry], path)


def _revoke(cfg: Config, register: Register) -> None:
    assert cfg.keys.client is not None
    entries = register.revoke(cfg.keys.client, cfg.keys.id, cfg.serve.access.default_role)
    say(f"  {len(entries)} key(s) of {cfg.keys.client} are refused by every replica within 5 s")
    _told(cfg, "revoke", entries, None)


def _told(cfg: Config, act: str, entries: list[ApiKey], path: Path | None) -> None:
    journal, file_bytes = cfg.serve.journal, cfg.serve.access.audit_file_bytes
    for one in entries:
        said = {"client": one.client, "role": one.role, "key": one.id, "expires": one.expires}
        audit.acted(journal, file_bytes, f"keys.{act}", **said)
    if path is not None:
        hand_over = "" if entries[0].client == DEFAULT else "; hand it over, then remove the file"
        say(f"  the key is in this file (mode 0600) and holds in 5 s{hand_over}:")
        print(path)


def _expires(cfg: Config) -> dt.datetime | None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return None if cfg.keys.days is None else now + dt.timedelta(days=cfg.keys.days)


if __name__ == "__main__":
    door.main(run, __doc__)
