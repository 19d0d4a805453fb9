"""What a replica holds for good is kept from the garbage collector, and what it makes afterwards is not."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.endpoint import Endpoint
from serve.replica import Replica
from serve.settings import Settings
from tests.serve.small import settings
from workbench.data.store import Store


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_what_it_begins_with_is_not_looked_through_again(store: Store, tmp_path: Path) -> None:
    replica = Replica(settings(store, tmp_path))
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is replica.service for one in gc.get_objects())
    later: list[object] = []
    later.append(later)
    assert any(one is later for one in gc.get_objects())


def test_one_that_cannot_begin_leaves_the_collector_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_endpoint: Endpoint, _settings: Settings) -> None:
        assert not gc.isenabled()
        raise OSError("none")

    monkeypatch.setattr(Endpoint, "__init__", fail)
    with pytest.raises(OSError, match="none"):
        Replica(settings(store, tmp_path))
    assert gc.isenabled()
