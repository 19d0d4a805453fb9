"""An endpoint has a name that an address may hold, and replicas share a Redis whose password is in no config."""

import pytest

from workbench.config import ServeConfig
from workbench.serve_rules import faults, name_faults


@pytest.mark.parametrize("name", ["payments", "eu_cards-2", "7"])
def test_a_name_of_lower_case_letters_digits_and_hyphens_is_right(name: str) -> None:
    assert list(name_faults(ServeConfig(application=name))) == []


@pytest.mark.parametrize("name", ["", "../x", "Payments", "-a", "a b"])
def test_any_other_name_is_refused(name: str) -> None:
    (told,) = name_faults(ServeConfig(application=name))
    assert told == f"serve.application={name} is no name. Use lower case letters, digits, - and _."


@pytest.mark.parametrize(
    "address", ["redis://localhost:6379/0", "rediss://user@redis.example.org", "unix:///run/redis.sock"]
)
def test_replicas_share_a_redis_of_any_address_without_a_password(address: str) -> None:
    assert list(faults(ServeConfig(application="a", replicas=2, state="redis", redis_url=address))) == []


@pytest.mark.parametrize("address", ["redis://:hush@localhost", "redis://localhost/0?password=hush"])
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    (told,) = faults(ServeConfig(application="a", redis_url=address))
    assert "Put it into WORKBENCH_REDIS_PASSWORD" in told
    assert "hush" not in told
