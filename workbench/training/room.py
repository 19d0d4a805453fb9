"""Whether the cluster can ever hold what is asked of it: Ray itself would wait for room without end."""

import time
from collections.abc import Mapping
from typing import Any

import ray

from workbench import cluster
from workbench.errors import EnvironmentFault
from workbench.progress import say

Needs = Mapping[str, float]  # by kind, as Ray names them: CPU, GPU
LOOK_EVERY_S = 10.0
GIVE_UP_S = 900.0  # as long as a cloud takes to bring a machine, with time to spare
CURE = "Use fewer workers, another scaling, or a larger cluster."


def check(said: str, count: int, each: Needs, cure: str = CURE) -> None:
    """Raise `EnvironmentFault` where so many processes, each of them on one machine, have no room all at once.

    Where an autoscaler may start machines this is only said: what waits for room is what it goes by.
    """
    if not (fault := _fault(said, count, each)):
        return
    if not cluster.grows():
        raise EnvironmentFault(f"{fault} {cure}")
    say(f"  {fault} The autoscaler may start machines.")


def _fault(said: str, count: int, each: Needs) -> str | None:
    there = ray.cluster_resources()
    for kind, one in each.items():
        if (needed := count * one) > there.get(kind, 0):
            return f"{said} need {needed:g} {kind}s, and the cluster has {there.get(kind, 0):g}."
    if (fit := fitting(each)) < count:
        asked = " and ".join(f"{one:g} {kind}s" for kind, one in each.items() if one)
        return f"{said} need {asked} each on one machine, and the cluster's machines hold {fit:g} such."
    return None


def fitting(each: Needs) -> float:
    """How many processes, each of which needs so much, the machines of the cluster hold at once."""
    machines = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    return sum(_on(machine, each) for machine in machines)


def _on(machine: Mapping[str, Any], each: Needs) -> float:
    return min((machine.get(kind, 0) + 1e-9) // one if one else float("inf") for kind, one in each.items())


class Watch:
    """Looks whether what was started can still have its room: where a machine is lost, Ray waits for another one."""

    def __init__(self, give_up_s: float = GIVE_UP_S) -> None:
        self._give_up_s = give_up_s
        self._since: float | None = None

    def look(self, said: str, count: int, each: Needs) -> None:
        """Say so as soon as there is no room any more; raise `EnvironmentFault` where none has come for so long."""
        fit = fitting(each)
        if fit >= count:
            self._since = None
            return
        told = f"{said} have no room: the cluster's machines hold {fit:g} such."
        if self._since is None:
            self._since = time.monotonic()
            say(f"  {told} Waiting {self._give_up_s:g} s for a machine; Ctrl-C ends it, and what is done is kept.")
        elif time.monotonic() - self._since > self._give_up_s:
            raise EnvironmentFault(f"{told} {CURE} Run the same command again: it goes on from the last checkpoint.")
