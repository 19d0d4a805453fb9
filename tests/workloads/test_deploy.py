"""A model that is not the champion does not take its place without a word."""

from pathlib import Path

import pytest

from tests.serve import small
from workbench.data.store import Store
from workbench.errors import ConfigError
from workbench.release import ledger
from workloads import deploy, door


@pytest.fixture
def released(store: Store, tmp_path: Path) -> Store:
    """Versions v1, the champion of payments, and v2."""
    small.settings(store, tmp_path)
    small.version(store, "v2")
    ledger.release(store, "payments", "v1", "for a test")
    return store


def test_another_model_than_the_champion_is_not_deployed_without_a_word(released: Store) -> None:
    cfg, version = door.composed([f"storage.root={released.root}"]), released.get("models", "v2")
    with pytest.raises(ConfigError, match=r"v1 is the champion of payments; this config's model is v2\. Use serve"):
        deploy.check_champion(cfg, version)
    deploy.check_champion(cfg, released.get("models", "v1"))
