"""What holds of all manifests together: who is referred to is there, who selects finds somebody, nobody is open."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.deploy import schemas
from tests.deploy.pods import Pod, matches, references

Manifest = dict[str, Any]
MADE_BY_HAND = {"workbench-keys", "workbench-ray-token", "workbench-redis", "endpoint-tls"}  # the README says how
MUST_BE_SET = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")


def faults(manifests: Sequence[Manifest], pods: Sequence[Pod]) -> Iterator[str]:
    """Each as a sentence."""
    there = {(one["kind"], one["metadata"].get("name")) for one in manifests}
    there |= {("Secret", name) for name in MADE_BY_HAND}
    for pod in pods:
        for kind, name in references(pod.spec):
            if (kind, name) not in there:
                yield f"{pod.owner}: refers to {kind}/{name}, which is not there."
        if not any(_denies(one) for one in manifests if one["kind"] == "NetworkPolicy"):
            yield f"{pod.owner}: no NetworkPolicy denies by default: podSelector {{}} and both policyTypes."
    for one in manifests:
        if one["kind"] in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = one["spec"].get("podSelector", one["spec"].get("selector"))
            if not any(matches(selector, pod.labels) for pod in pods):
                yield f"{schemas.named(one)}: selects no pod."
    spaces = {one["metadata"].get("namespace") for one in manifests if one["kind"] != "Namespace"}
    if len(spaces) != 1:
        yield f"more than one namespace: {sorted(map(str, spaces))}."
    yield from _environments(manifests, pods)


def _environments(manifests: Sequence[Manifest], pods: Sequence[Pod]) -> Iterator[str]:
    maps = {one["metadata"]["name"]: one.get("data", {}) for one in manifests if one["kind"] == "ConfigMap"}
    for pod in (one for one in pods if "ray.io/node-type" in one.labels):
        known: set[str] = set()
        for source in pod.spec["containers"][0].get("envFrom", ()):
            known |= maps.get(source.get("configMapRef", {}).get("name"), {}).keys()
        if lacking := [name for name in MUST_BE_SET if name not in known]:
            yield f"{pod.owner}: {', '.join(lacking)} is not set before Ray starts."


def _denies(policy: Manifest) -> bool:
    spec = policy["spec"]
    closed = not spec.get("ingress") and not spec.get("egress") and set(spec["policyTypes"]) == {"Ingress", "Egress"}
    return spec["podSelector"] == {} and closed
