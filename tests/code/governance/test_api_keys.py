"""Keys of clients are random, kept as digests only, and never become valid again once they ended."""

import datetime as dt
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import ConfigError, EnvironmentFault
from workbench.governance.api_keys import DEFAULT, ApiKey, Register
from workbench.governance.keys import Keys, api_key_digest

HOUR = dt.timedelta(hours=1)
NOW = dt.datetime.now(dt.UTC)
SOON = NOW + 24 * HOUR


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.delenv("WORKBENCH_API_KEY", raising=False)
    return Register(str(tmp_path / "keys"))


def states(register: Register, client: str) -> list[str]:
    return [one.state(dt.datetime.now(dt.UTC)) for one in register.read() if one.client == client]


def test_before_the_first_key_there_is_no_file(register: Register) -> None:
    assert register.read() == []
    assert not register.path.exists()


def test_a_key_is_random_says_which_one_it_is_and_is_kept_as_a_digest_only(register: Register) -> None:
    entry, path = register.add("shop", "scorer", SOON)
    prefix, identity, digits = path.read_text().split("_")
    assert (prefix, identity, len(bytes.fromhex(digits))) == ("wb", entry.id, 32)
    assert register.read() == [entry]
    assert entry.digest == api_key_digest(path.read_text())
    assert digits not in register.path.read_text()
    assert register.add("other", "scorer", None)[1].read_text().split("_")[2] != digits


def test_all_that_is_written_is_its_owners_alone(register: Register) -> None:
    _, path = register.add("shop", "scorer", SOON)
    written = [one for one in register.path.parent.rglob("*") if one.is_file()]
    assert {path, register.path} <= set(written)
    assert {stat.S_IMODE(one.stat().st_mode) for one in written} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (register.path.parent, path.parent)} == {0o700}


@pytest.mark.parametrize("client", ["", "default", "Shop", "a b", "../shop", "a/b", "-x", "x" * 64, "sh\u00f6p"])
def test_an_odd_name_of_a_client_is_refused_and_nothing_is_written(register: Register, client: str) -> None:
    with pytest.raises(ConfigError, match=r"keys\.client=.* is no name for a client"):
        register.add(client, "scorer", SOON)
    assert not register.path.parent.exists()


def test_a_client_has_one_key_until_it_is_rotated(register: Register) -> None:
    register.add("shop", "scorer", SOON)
    with pytest.raises(ConfigError, match=r"keys\.client=shop has a key. Use keys\.action=rotate"):
        register.add("shop", "admin", SOON)


def test_rotation_gives_a_second_key_in_the_same_role_and_ends_the_first_after_the_overlap(register: Register) -> None:
    first, one = register.add("shop", "scorer", SOON)
    second, other = register.rotate("shop", SOON, HOUR, "admin")
    assert one.read_text() != other.read_text()
    assert (second.role, states(register, "shop")) == ("scorer", ["valid", "valid"])
    ended, new = register.read()
    assert ended.expires is not None
    assert abs(ended.expires - second.created - HOUR) < dt.timedelta(minutes=1)
    assert new == second
    assert ended.state(ended.expires) == "expired"
    assert first.id == ended.id


def test_rotation_lengthens_no_life(register: Register) -> None:
    soon = NOW + dt.timedelta(minutes=5)
    register.add("shop", "scorer", soon)
    register.rotate("shop", SOON, HOUR, "admin")
    assert register.read()[0].expires == soon


def test_a_revoked_key_stays_listed_as_that_and_the_next_one_is_another(register: Register) -> None:
    register.add("shop", "scorer", SOON)
    register.revoke("shop", None, "admin")
    assert states(register, "shop") == ["revoked"]
    register.rotate("shop", SOON, HOUR, "admin")
    assert states(register, "shop") == ["revoked", "valid"]
    with pytest.raises(ConfigError, match="has no such key that is not revoked"):
        register.revoke("shop", register.read()[0].id, "admin")


def test_one_key_of_a_client_is_revoked_by_its_id(register: Register) -> None:
    first, _ = register.add("shop", "scorer", SOON)
    register.rotate("shop", SOON, HOUR, "admin")
    assert [one.id for one in register.revoke("shop", first.id, "admin")] == [first.id]
    assert states(register, "shop") == ["revoked", "valid"]


def test_an_unknown_client_is_refused_with_those_that_are_known(register: Register) -> None:
    register.add("shop", "scorer", SOON)
    for act in (lambda: register.rotate("shpo", SOON, HOUR, "admin"), lambda: register.revoke("shpo", None, "admin")):
        with pytest.raises(ConfigError, match=r"keys\.client=shpo has no key.*default, shop"):
            act()


def test_the_key_of_the_first_start_is_exchanged_where_everybody_finds_it(register: Register) -> None:
    before = register.secrets.api()
    entry, path = register.rotate(DEFAULT, None, HOUR, "admin")
    assert (path, path.read_text()) == (register.secrets.folder / "api.key", register.secrets.api())
    assert register.secrets.api() != before
    old, new = register.read()
    assert (old.digest, new.digest) == (api_key_digest(before), api_key_digest(register.secrets.api()))
    assert (old.role, new.role, new.expires, entry) == ("admin", "admin", None, new)


def test_the_key_of_the_first_start_can_be_taken_away(register: Register) -> None:
    register.secrets.api()
    register.revoke(DEFAULT, None, "admin")
    assert states(register, DEFAULT) == ["revoked"]


def test_a_key_from_the_environment_is_changed_there(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_API_KEY", "wb_theirs")
    register.add("shop", "scorer", SOON)
    with pytest.raises(ConfigError, match=r"keys\.client=default has its key from WORKBENCH_API_KEY. Change it there"):
        register.rotate(DEFAULT, None, HOUR, "admin")


def test_those_who_add_together_lose_nothing(register: Register) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Register(str(register.path.parent)).add(f"c{n}", "scorer", SOON), range(16)))
    assert sorted(one.client for one in register.read()) == sorted(f"c{n}" for n in range(16))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(register: Register, mode: int) -> None:
    register.add("shop", "scorer", SOON)
    register.path.chmod(mode)
    with pytest.raises(EnvironmentFault, match=f"chmod 600 {register.path}"):
        register.read()
    register.path.chmod(0o440)  # as a mounted secret is
    assert states(register, "shop") == ["valid"]


DAMAGED = ["", "{", "[]", '{"keys": [{}]}', '{"keys": [], "version": 2}', '{"keys": [], "odd": 1}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_refused_and_not_written_over(register: Register, text: str) -> None:
    register.add("shop", "scorer", SOON)
    register.path.write_text(text)
    for act in (register.read, lambda: register.add("other", "scorer", SOON)):
        with pytest.raises(EnvironmentFault, match="is damaged"):
            act()
    assert register.path.read_text() == text


def test_a_key_ends_when_it_expires_or_is_revoked_whichever_is_first() -> None:
    key = ApiKey("a", "shop", "scorer", "0" * 64, NOW)
    assert (key.ends(), key.state(NOW)) == (float("inf"), "valid")
    assert ApiKey("a", "shop", "scorer", "0" * 64, NOW, SOON, NOW).ends() == NOW.timestamp()
    assert ApiKey("a", "shop", "scorer", "0" * 64, NOW, NOW).state(NOW) == "expired"


def test_secrets_beside_it_stay_what_they_were(register: Register) -> None:
    keys = Keys(str(register.path.parent))
    before = (keys.pseudonym(), keys.api())
    register.add("shop", "scorer", SOON)
    assert (keys.pseudonym(), keys.api()) == before
