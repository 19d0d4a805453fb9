"""What tests of training share."""

import pytest
import ray


@pytest.fixture
def four_small_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray says of a cluster of four machines with two CPUs each, one of them lost."""
    machines = [{"Alive": alive, "Resources": {"CPU": 2.0}} for alive in (True, True, True, False)]
    monkeypatch.setattr(ray, "nodes", lambda: machines)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 6.0})
