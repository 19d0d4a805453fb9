"""Whether the cluster can ever hold what is asked of it: Ray itself would wait for room without end."""

from collections.abc import Mapping
from typing import Any

import ray

from workbench.errors import EnvironmentFault

Needs = Mapping[str, float]  # by kind, as Ray names them: CPU, GPU
CURE = "Use fewer workers, another scaling, or a larger cluster."


def check(said: str, count: int, each: Needs, cure: str = CURE) -> None:
    """Raise `EnvironmentFault` where so many processes, each of them on one machine, have no room all at once."""
    there = ray.cluster_resources()
    for kind, one in each.items():
        if (needed := count * one) > there.get(kind, 0):
            raise EnvironmentFault(
                f"{said} need {needed:g} {kind}s, and the cluster has {there.get(kind, 0):g}. {cure}"
            )
    if (fit := fitting(each)) < count:
        asked = " and ".join(f"{one:g} {kind}s" for kind, one in each.items() if one)
        raise EnvironmentFault(
            f"{said} need {asked} each on one machine, and the cluster's machines hold {fit:g} such. {cure}"
        )


def fitting(each: Needs) -> float:
    """How many processes, each of which needs so much, the machines of the cluster hold at once."""
    machines = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    return sum(_on(machine, each) for machine in machines)


def _on(machine: Mapping[str, Any], each: Needs) -> float:
    return min((machine.get(kind, 0) + 1e-9) // one if one else float("inf") for kind, one in each.items())
