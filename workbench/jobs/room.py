"""Whether a job's own process can ever start: Ray itself lets it wait for resources that no node has."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import EnvironmentFault

MIRRORED = re.compile(r"node_?[0-9a-f]{56}")  # the types of nodes that Ray names itself, where it can start none
Resources = Mapping[str, float]  # by kind, as Ray names them: CPU, GPU, memory, and the cluster's own


def check(asked: Resources, nodes: Sequence[Resources], grows: bool) -> None:
    """Raise `EnvironmentFault` where no node has what the job's own process asks for, and none will come.

    A head that has just begun knows no node yet.
    """
    needed = {kind: amount for kind, amount in asked.items() if amount}
    if grows or not needed or not nodes or any(_fits(needed, node) for node in nodes):
        return
    said = " and ".join(f"{kind} {amount:g}" for kind, amount in needed.items())
    most = ", ".join(f"{kind} {max((node.get(kind, 0) for node in nodes), default=0):g}" for kind in needed)
    raise EnvironmentFault(
        f"No node of the cluster has {said} for the job's own process (the most that one has: {most}), and there is no"
        " autoscaler that would start one. Ask for less, or add such a node."
    )


def _fits(needed: Resources, node: Resources) -> bool:
    return all(node.get(kind, 0) >= amount for kind, amount in needed.items())


def grows(status: Mapping[str, Any] | None) -> bool | None:
    """Whether an autoscaler that can start nodes says this status; None: nobody has said anything.

    Ray's monitor runs without one, too, and then mirrors each node as a type of its own. Autoscalers that live outside
    the head, as KubeRay's does, say nothing here.
    """
    report = (status or {}).get("autoscaler_report") or (status or {}).get("autoscalerReport")
    if not report:
        return None
    kinds = {*(report.get("active_nodes") or {}), *(report.get("activeNodes") or {})}
    return any(not MIRRORED.fullmatch(kind.lower()) for kind in kinds)
