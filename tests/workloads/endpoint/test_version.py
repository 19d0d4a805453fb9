"""Which version goes live."""

import pytest

from tests.workloads.endpoint.conftest import configured
from workbench.data.store import Store
from workbench.errors import ConfigError, StoreError
from workbench.release import ledger
from workloads import door
from workloads.endpoint.version import chosen


def test_the_champion_of_the_ledger_is_chosen_without_training(store: Store, champion: str) -> None:
    assert chosen(configured(store)).key == champion
    assert store.keys("runs") == []


def test_the_newest_release_is_the_champion(store: Store, champion: str) -> None:
    ledger.release(store, "payments", "v2", "a later one, whose bundle was deleted")
    with pytest.raises(StoreError, match="v2"):
        chosen(configured(store))


def test_an_unknown_choice_of_version_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"serve.version=newest is unknown. Use one of: configured, champion"):
        door.composed(["serve.version=newest"])
