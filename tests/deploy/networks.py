"""Who may talk to whom, by one manifest alone."""

from collections.abc import Iterator
from typing import Any

from tests.deploy import schemas

Manifest = dict[str, Any]
WORLD = ("0.0.0.0/0", "::/0")


def faults(manifest: Manifest) -> Iterator[str]:
    """What is open in a Service or a NetworkPolicy."""
    name = schemas.named(manifest)
    if manifest["kind"] == "Service" and manifest["spec"].get("type", "ClusterIP") != "ClusterIP":
        yield f"{name}: type {manifest['spec']['type']} is open to the world. TLS and limits are in the Ingress."
    if manifest["kind"] != "NetworkPolicy":
        return
    for rule in manifest["spec"].get("ingress", ()):
        peers = rule.get("from", [])
        if not peers or any(_anybody(peer) for peer in peers):
            yield f"{name}: lets anybody in. Name pods and namespaces in each `from`."
    for rule in manifest["spec"].get("egress", ()):
        outside = [peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer]
        if not rule.get("to") or (outside and not rule.get("ports")):
            yield f"{name}: lets anything out. Name peers, and ports where they are addresses."
        if any("169.254.0.0/16" not in one.get("except", []) for one in outside if one["cidr"] in WORLD):
            yield f"{name}: lets pods ask the cloud's metadata service. Except 169.254.0.0/16."


def _anybody(peer: Manifest) -> bool:
    if "ipBlock" in peer:
        return peer["ipBlock"]["cidr"] in WORLD
    selectors = [one for one in (peer.get("namespaceSelector"), peer.get("podSelector")) if one is not None]
    return not any(one.get("matchLabels") or one.get("matchExpressions") for one in selectors)
