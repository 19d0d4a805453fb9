"""What a replica holds for good is kept from the garbage collector, and what it makes afterwards is not."""

import dataclasses
import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.endpoint import Endpoint
from serve.replica import Replica
from serve.settings import Settings
from tests.serve.small import settings
from tests.serve.test_access import until
from workbench.data.store import Store


class Cycle:
    """What refers to itself."""

    own: "Cycle"


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


def test_what_has_come_since_is_kept_from_it_in_every_round_and_young_cycles_are_freed(
    store: Store, tmp_path: Path
) -> None:
    replica = Replica(dataclasses.replace(settings(store, tmp_path), compact_every_s=0.05))
    kept, cycle = [object()], Cycle()
    gone = weakref.ref(cycle)
    cycle.own = cycle
    del cycle
    try:
        assert until(lambda: not any(one is kept for one in gc.get_objects()))
    finally:
        replica.service.compactor.also = lambda: None  # its thread outlives the test
    assert gone() is None


def test_an_endpoint_in_a_process_of_others_leaves_their_objects_alone(store: Store, tmp_path: Path) -> None:
    before = gc.get_freeze_count()
    Endpoint(dataclasses.replace(settings(store, tmp_path), compact_every_s=0.01))
    time.sleep(0.1)
    assert gc.get_freeze_count() == before


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
