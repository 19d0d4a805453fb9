"""Secrets are private, made once, and never guessed; tokens hide what they name."""

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import EnvironmentFault
from workbench.governance.keys import Keys, api_key_digest, token

VARIABLES = ("WORKBENCH_API_KEY", "WORKBENCH_SIGNING_KEY", "WORKBENCH_PSEUDONYM_KEY")
FILES = ("api.key", "signing.key", "pseudonym.key")
KEY, OTHER_KEY = bytes(32), bytes([1] * 32)
Ask = Callable[[Keys], str]


def signing(keys: Keys) -> str:
    return keys.signing().private_bytes_raw().hex()


def pseudonym(keys: Keys) -> str:
    return keys.pseudonym().hex()


ALL: list[Ask] = [Keys.api, signing, pseudonym]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """An installation before its first use, without keys in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return Keys(str(tmp_path / "private" / "keys"))


def test_nothing_is_made_before_a_key_is_asked_for(keys: Keys) -> None:
    assert keys.path_of_api_key() == keys.folder / "api.key"
    assert not keys.folder.exists()


def test_keys_are_files_that_only_their_owner_reads(keys: Keys) -> None:
    for ask in ALL:
        ask(keys)
    assert sorted(path.name for path in keys.folder.iterdir()) == sorted(FILES), "no draft is left"
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("ask", ALL)
def test_a_key_is_the_same_at_its_next_use_and_another_elsewhere(keys: Keys, ask: Ask, tmp_path: Path) -> None:
    assert ask(keys) == ask(Keys(str(keys.folder)))
    assert ask(keys) != ask(Keys(str(tmp_path / "elsewhere")))


def test_an_api_key_holds_256_random_bits_and_can_be_told_from_other_secrets(keys: Keys) -> None:
    prefix, _, digits = keys.api().partition("_")
    assert prefix == "wb"
    assert len(bytes.fromhex(digits)) == 32


@pytest.mark.parametrize("ask", ALL)
def test_those_who_come_first_together_get_one_key(keys: Keys, ask: Ask) -> None:
    together = threading.Barrier(16)

    def first_use(_: int) -> str:
        together.wait()
        return ask(Keys(str(keys.folder)))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(first_use, range(16)))) == 1
    assert len(list(keys.folder.iterdir())) == 1


def test_the_environment_wins_and_writes_nothing(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "5a" * 32)
    assert [ask(keys) for ask in ALL] == ["5a" * 32] * 3
    assert keys.path_of_api_key() is None
    assert not keys.folder.exists()


@pytest.mark.parametrize("text", ["5a" * 31, "5a" * 33, "5a" * 31 + "5", "zz" * 32, "not a key"])
@pytest.mark.parametrize(("ask", "name"), [(signing, "WORKBENCH_SIGNING_KEY"), (pseudonym, "WORKBENCH_PSEUDONYM_KEY")])
def test_a_key_that_is_none_is_refused_without_being_shown(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, ask: Ask, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(EnvironmentFault, match=rf"{name}.*64 hex digits") as caught:
        ask(keys)
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["x", "hunter2-hunter2", "5a" * 15 + "5"])
def test_an_api_key_that_can_be_guessed_is_refused_without_being_shown(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("WORKBENCH_API_KEY", text)
    with pytest.raises(
        EnvironmentFault, match=rf"has {len(text)} characters; 32 are .* openssl rand -hex 32"
    ) as caught:
        keys.api()
    assert len(text) == 1 or text not in str(caught.value)
    assert not keys.folder.exists(), "no other key takes its place"


def test_an_api_key_of_32_characters_or_more_is_taken_as_it_is(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("k" * 32, f"wb_{'5a' * 32}"):
        monkeypatch.setenv("WORKBENCH_API_KEY", text)
        assert keys.api() == text


def test_a_damaged_key_file_is_refused_by_its_path(keys: Keys) -> None:
    keys.signing()
    (keys.folder / "signing.key").write_text("cut off")
    with pytest.raises(EnvironmentFault, match=r"signing\.key\) must be 64 hex digits"):
        keys.signing()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
@pytest.mark.parametrize(("ask", "name"), list(zip(ALL, FILES, strict=True)))
def test_a_key_file_that_others_may_touch_is_refused_until_it_is_closed(
    keys: Keys, ask: Ask, name: str, mode: int
) -> None:
    key = ask(keys)
    path = keys.folder / name
    path.chmod(mode)
    with pytest.raises(EnvironmentFault, match=f"chmod 600 {path}") as caught:
        ask(keys)
    assert key not in str(caught.value)
    path.chmod(0o600)
    assert ask(keys) == key


def test_what_verifies_is_the_signing_keys_other_half(keys: Keys) -> None:
    keys.verifying().verify(keys.signing().sign(b"bundle"), b"bundle")


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_token_is_one_for_a_value_and_differs_by_key_and_domain(domain: str, other: str, value: str) -> None:
    made = token(KEY, domain, value)
    assert made == token(KEY, domain, value)
    assert made != token(OTHER_KEY, domain, value)
    assert (made == token(KEY, other, value)) == (domain == other)
    assert len(bytes.fromhex(made)) == 16


def test_a_token_is_the_same_for_a_number_and_its_text() -> None:
    assert token(KEY, "customer_id", 7) == token(KEY, "customer_id", "7")
    assert token(KEY, "customer_id", 7) != token(KEY, "customer_id", 70)


def test_the_endpoint_is_given_no_key_but_a_digest_of_it() -> None:
    assert api_key_digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
