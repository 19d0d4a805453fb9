"""What differs between the nodes of a cluster is told by node, with what helps."""

from workbench.doctor import nodes
from workbench.doctor.findings import State
from workbench.doctor.nodes import Told


def test_each_thing_that_may_differ_is_told_of_its_node_alone() -> None:
    mine = nodes.asked(None).versions
    told = {
        "good": Told(mine, 0.0, 0.5, True),
        "old": Told(mine | {"ray": "2.9.0"}, 0.0, 0.5, True),
        "full": Told(mine, 0.0, 0.01, True),
        "apart": Told(mine, 0.0, 0.5, False),
        "late": Told(mine, 0.0, 0.5, True),
    }
    *found, last = nodes._differences(told, dict.fromkeys(told, 0.0) | {"late": 90.0})
    assert [(one.what, one.state, one.said.split()[0].rstrip(":")) for one in found] == [
        ("versions", State.wrong, "old"),
        ("disk", State.wrong, "full"),
        ("storage", State.wrong, "apart"),
        ("clocks", State.odd, "late"),
    ]
    assert "ray 2.9.0, here" in found[0].said
    assert "late is 90 s away" in found[3].said
    assert all(one.cure for one in found)
    assert (last.what, last.said) == ("nodes", "5 answered")
