"""A champion of the payments on a store of its own, and a config that serves it."""

from pathlib import Path

import pytest

from tests.serve import small
from workbench.data.store import Store
from workbench.release import ledger
from workloads import door


@pytest.fixture
def champion(store: Store, tmp_path: Path) -> str:
    """A version that the ledger says is live, under the application's name of the payments."""
    version = small.settings(store, tmp_path).version
    ledger.release(store, "payments", version, "for a test")
    return version


def configured(store: Store, *overrides: str) -> door.Config:
    """The payments on that store, to be served by the ledger's champion."""
    return door.composed(["serve.version=champion", f"storage.root={store.root}", *overrides])
