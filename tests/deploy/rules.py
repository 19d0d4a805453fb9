"""What a schema cannot say of our manifests: secrets by reference, pinned images, bounded pods, closed networks."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.deploy import networks, schemas, together
from tests.deploy.pods import Pod, pods_of, ray_spec

Manifest = dict[str, Any]
SECRET_NAME = re.compile(r"(PASSWORD|TOKEN|SECRET|_KEY|CREDENTIALS)(?!.*(_PATH|_MODE))", re.IGNORECASE)
SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s@$]+@|\b[0-9a-f]{64}\b|\bwb_[0-9a-f]{8,}|AKIA[0-9A-Z]{16}|PRIVATE KEY")


def faults(manifests: Sequence[Manifest], ray: str, version: str) -> list[str]:
    """Everything that is wrong, of the schemas and of the rules."""
    found = [fault for one in manifests for fault in schemas.faults(one)]
    if found:  # the rules read what the schemas have let through
        return found
    pods = [pod for one in manifests for pod in pods_of(one)]
    for one in manifests:
        found += [*_secrets(one), *networks.faults(one), *_clusters(one, ray), *_entries(one)]
    for pod in pods:
        found += [*_images(pod, version), *_resources(pod), *_rights(pod), *_probes(pod)]
    return [*found, *together.faults(manifests, pods)]


def _secrets(manifest: Manifest) -> Iterator[str]:
    name = schemas.named(manifest)
    if manifest["kind"] == "Secret":
        yield f"{name}: a secret is in the manifests. Make it with kubectl, and refer to it."
    for where, key, value in texts(manifest):
        inlined = key in ("value", "data") or manifest["kind"] == "ConfigMap"
        if SECRET_VALUE.search(value) or (inlined and SECRET_NAME.search(where.rpartition(".")[2])):
            yield f"{name}: {where} looks like a secret. Refer to one: valueFrom.secretKeyRef."


def texts(node: Any, where: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text with its place; that of an environment's value is the variable's name."""
    if isinstance(node, dict):
        for name, one in node.items():
            place = str(node["name"]) if name == "value" and "name" in node else str(name)
            yield from texts(one, f"{where}.{place}", str(name))
    elif isinstance(node, list):
        for number, one in enumerate(node):
            yield from texts(one, f"{where}.{number}", key)
    elif isinstance(node, str):
        yield where, key, node


def _images(pod: Pod, version: str) -> Iterator[str]:
    for one in pod.containers:
        repository, _, tag = one["image"].partition("@")[0].rpartition(":")
        if not repository or "/" in tag or tag == "latest":
            yield f"{pod.owner}: image {one['image']} has no fixed tag. Name a version."
        elif repository.endswith("ray-ai-workbench") and not re.fullmatch(rf"{re.escape(version)}-\w[\w-]*", tag):
            yield f"{pod.owner}: image {one['image']} is not of version {version}."


def _resources(pod: Pod) -> Iterator[str]:
    for one in pod.containers:
        given = one.get("resources", {})
        lacking = [f"requests.{what}" for what in ("cpu", "memory") if what not in given.get("requests", {})]
        lacking += [] if "memory" in given.get("limits", {}) else ["limits.memory"]
        if lacking:
            yield f"{pod.owner}: container {one['name']} lacks resources.{', resources.'.join(lacking)}."


def _rights(pod: Pod) -> Iterator[str]:
    whole = pod.spec.get("securityContext", {})
    if not whole.get("runAsNonRoot") or whole.get("runAsUser", 1) == 0:
        yield f"{pod.owner}: may run as root. Set securityContext.runAsNonRoot and a runAsUser other than 0."
    if whole.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{pod.owner}: securityContext.seccompProfile.type must be RuntimeDefault."
    for one in pod.containers:
        own = one.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{pod.owner}: container {one['name']} keeps privileges. Forbid escalation and drop ALL capabilities."
        if own.get("privileged") or own.get("runAsUser", 1) == 0:
            yield f"{pod.owner}: container {one['name']} runs as root or privileged."
    if any(pod.spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")) or any(
        "hostPath" in volume for volume in pod.spec.get("volumes", ())
    ):
        yield f"{pod.owner}: reaches into its node (host namespaces or hostPath)."


def _probes(pod: Pod) -> Iterator[str]:
    for one in pod.spec["containers"] if pod.lasts else ():
        if lacking := [probe for probe in ("livenessProbe", "readinessProbe") if probe not in one]:
            yield f"{pod.owner}: container {one['name']} has no {' and no '.join(lacking)}."


def _clusters(manifest: Manifest, ray: str) -> Iterator[str]:
    if (spec := ray_spec(manifest)) is None:
        return
    name = schemas.named(manifest)
    if spec.get("rayVersion") != ray:
        yield f"{name}: rayVersion={spec.get('rayVersion')}, but constraints.txt has {ray}."
    if spec.get("authOptions", {}).get("mode") != "token" or not spec["authOptions"].get("secretName"):
        yield f"{name}: Ray is open. Set authOptions.mode=token and a secretName."
    if spec.get("enableInTreeAutoscaling") is not True or spec.get("autoscalerOptions", {}).get("version") != "v2":
        yield f"{name}: autoscaler v2 is off. Set enableInTreeAutoscaling and autoscalerOptions.version=v2."


def _entries(manifest: Manifest) -> Iterator[str]:
    """What KubeRay itself refuses, without its feature gates."""
    spec, name = manifest.get("spec", {}), schemas.named(manifest)
    if manifest["kind"] != "RayJob":
        return
    if spec.get("clusterSelector") and spec.get("backoffLimit"):
        yield f"{name}: backoffLimit does not go with clusterSelector."
    if not spec.get("activeDeadlineSeconds"):
        yield f"{name}: may stay pending for ever. Set activeDeadlineSeconds."
    if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
        yield f"{name}: ttlSecondsAfterFinished needs shutdownAfterJobFinishes."
