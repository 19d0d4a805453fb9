"""Resources that no node has are refused before anything waits for them."""

import pytest

from workbench.errors import EnvironmentFault
from workbench.jobs import room

NODES = [{"CPU": 2.0, "memory": 8e9}, {"CPU": 8.0, "GPU": 1.0, "memory": 4e9}]


@pytest.mark.parametrize("asked", [{}, {"CPU": 8.0}, {"CPU": 8.0, "GPU": 1.0}, {"memory": 8e9}, {"TPU": 0.0}])
def test_what_one_node_has_is_let_through(asked: dict[str, float]) -> None:
    room.check(asked, NODES, grows=False)


@pytest.mark.parametrize("asked", [{"CPU": 9.0}, {"GPU": 1.0, "memory": 8e9}, {"slots": 1.0}])
def test_what_no_single_node_has_is_refused_with_the_most_that_there_is(asked: dict[str, float]) -> None:
    with pytest.raises(EnvironmentFault, match=r"the most that one has: .* Ask for less"):
        room.check(asked, NODES, grows=False)


def test_a_cluster_that_grows_may_bring_such_a_node() -> None:
    room.check({"GPU": 8.0}, NODES, grows=True)


def test_a_head_that_knows_no_node_yet_refuses_nothing() -> None:
    room.check({"CPU": 1.0}, [], grows=False)


def test_a_cluster_grows_where_its_nodes_are_of_types_that_somebody_has_named() -> None:
    mirrored = {f"node_{'0a' * 28}": 1, f"nodeF{'f' * 55}": 1}
    assert room.grows({"autoscaler_report": {"active_nodes": mirrored}}) is False
    assert room.grows({"autoscalerReport": {"activeNodes": {**mirrored, "cpu_worker": 2}}}) is True
    assert room.grows(None) is room.grows({"load_metrics_report": {}}) is None
