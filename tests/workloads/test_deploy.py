"""Which version goes live, and what is refused before anything starts."""

from pathlib import Path

import pytest

from tests.serve import small
from workbench.data.store import Store
from workbench.errors import ConfigError, StoreError
from workbench.release import ledger
from workloads import deploy, door


@pytest.fixture
def champion(store: Store, tmp_path: Path) -> str:
    """A version that the ledger says is live, under the application's name of the payments."""
    version = small.settings(store, tmp_path).version
    ledger.release(store, "payments", version, "for a test")
    return version


def configured(store: Store, *overrides: str) -> door.Config:
    """The payments on that store, to be served by the ledger's champion."""
    return door.composed(["serve.version=champion", f"storage.root={store.root}", *overrides])


def test_the_champion_of_the_ledger_is_chosen_without_training(store: Store, champion: str) -> None:
    assert deploy.chosen(configured(store)).key == champion
    assert store.keys("runs") == []


def test_the_newest_release_is_the_champion(store: Store, champion: str) -> None:
    ledger.release(store, "payments", "v2", "a later one, whose bundle was deleted")
    with pytest.raises(StoreError, match="v2"):
        deploy.chosen(configured(store))


def test_a_champion_whose_features_the_data_cannot_give_starts_nothing(store: Store, champion: str) -> None:
    cfg = configured(store, "data=handbook")
    told = r"version v1 was trained on small and needs amount, .*experiment=small"
    with pytest.raises(ConfigError, match=told), deploy.live(cfg):
        pytest.fail("it went live")


def test_an_unknown_choice_of_version_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"serve.version=newest is unknown. Use one of: configured, champion"):
        door.composed(["serve.version=newest"])
