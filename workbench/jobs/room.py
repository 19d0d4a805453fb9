"""Whether a job's own process can ever start: Ray itself lets it wait for resources that no node has."""

from collections.abc import Mapping, Sequence

from workbench.errors import EnvironmentFault

Resources = Mapping[str, float]  # by kind, as Ray names them: CPU, GPU, memory, and the cluster's own


def check(asked: Resources, nodes: Sequence[Resources], grows: bool) -> None:
    """Raise `EnvironmentFault` where no node has what the job's own process asks for, and none will come."""
    needed = {kind: amount for kind, amount in asked.items() if amount}
    if grows or not needed or any(_fits(needed, node) for node in nodes):
        return
    said = " and ".join(f"{kind} {amount:g}" for kind, amount in needed.items())
    most = ", ".join(f"{kind} {max((node.get(kind, 0) for node in nodes), default=0):g}" for kind in needed)
    raise EnvironmentFault(
        f"No node of the cluster has {said} for the job's own process (the most that one has: {most}), and there is no"
        " autoscaler that would start one. Ask for less, or add such a node."
    )


def _fits(needed: Resources, node: Resources) -> bool:
    return all(node.get(kind, 0) >= amount for kind, amount in needed.items())
