"""The pods that manifests describe: their labels, what they are for and what they refer to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.deploy import schemas

Manifest = dict[str, Any]
RAY_SPECS = {"RayCluster": (), "RayJob": ("rayClusterSpec",), "RayService": ("rayClusterConfig",)}


@dataclass(frozen=True)
class Pod:
    """A pod template with the labels that it gets, and what it is for."""

    owner: str
    labels: dict[str, str]
    spec: Manifest
    lasts: bool  # and so has to show that it lives

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods_of(manifest: Manifest) -> Iterator[Pod]:
    """Its pod templates, with the labels that KubeRay adds."""
    kind, name = manifest["kind"], schemas.named(manifest)
    if kind == "CronJob":
        template = manifest["spec"]["jobTemplate"]["spec"]["template"]
        yield Pod(name, template["metadata"]["labels"], template["spec"], lasts=False)
    elif kind in ("StatefulSet", "Deployment"):
        template = manifest["spec"]["template"]
        yield Pod(name, template["metadata"]["labels"], template["spec"], lasts=True)
    elif spec := ray_spec(manifest):
        groups = [("head", "headgroup", spec["headGroupSpec"])]
        groups += [("worker", group["groupName"], group) for group in spec.get("workerGroupSpecs", ())]
        for role, group_name, group in groups:
            template = group["template"]
            labels = {**template.get("metadata", {}).get("labels", {}), "ray.io/node-type": role}
            yield Pod(f"{name} {group_name}", {**labels, "ray.io/group": group_name}, template["spec"], lasts=True)


def ray_spec(manifest: Manifest) -> Manifest | None:
    """The Ray cluster that it describes; None where it describes none, or names one that is there."""
    if manifest["kind"] not in RAY_SPECS:
        return None
    found = manifest["spec"]
    for key in RAY_SPECS[manifest["kind"]]:
        found = found.get(key)
    return found


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    fits = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    wanted = selector.get("matchExpressions", ())
    return fits and all(one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in wanted)


def references(spec: Manifest) -> Iterator[tuple[str, str]]:
    """What a pod needs to be there: kind and name."""
    if account := spec.get("serviceAccountName"):
        yield "ServiceAccount", account
    for volume in spec.get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        for source in container.get("envFrom", ()):
            for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if key in source:
                    yield kind, source[key]["name"]
        for variable in container.get("env", ()):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield "Secret", variable["valueFrom"]["secretKeyRef"]["name"]
