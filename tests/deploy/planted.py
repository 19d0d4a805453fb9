"""Mistakes that people make in manifests: what each changes in ours, and a part of what must be said of it."""

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Change = Callable[[dict[str, Manifest]], object]  # of the manifests by `Kind/name`


def _cluster(found: dict[str, Manifest]) -> Manifest:
    return found["RayCluster/workbench"]["spec"]


def _head(found: dict[str, Manifest]) -> Manifest:
    return _cluster(found)["headGroupSpec"]["template"]["spec"]


def _worker(found: dict[str, Manifest]) -> Manifest:
    return found["RayService/endpoint"]["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]


def _redis(found: dict[str, Manifest]) -> Manifest:
    return found["StatefulSet/redis"]["spec"]["template"]["spec"]["containers"][0]


def _rule(found: dict[str, Manifest], name: str, way: str = "ingress") -> Manifest:
    return found[f"NetworkPolicy/{name}"]["spec"][way][0]


PLANTED: dict[str, tuple[Change, str]] = {
    "wrong type": (
        lambda m: _cluster(m)["workerGroupSpecs"][0].update(maxReplicas="10"), "maxReplicas: '10' is not of type",
    ),
    "wrong type in a resource of Kubernetes": (
        lambda m: m["PodDisruptionBudget/redis"]["spec"].update(minAvailable=[1]), "minAvailable: [1] is not",
    ),
    "unknown key": (lambda m: _cluster(m).update(autoscaling=True), "'autoscaling' was unexpected"),
    "unknown key deep in a pod": (
        lambda m: _head(m)["containers"][0].update(livenesProbe={}), "'livenesProbe' was unexpected",
    ),
    "missing required key": (
        lambda m: _cluster(m).pop("headGroupSpec"), "'headGroupSpec' is a required property",
    ),
    "missing required key in a resource of Kubernetes": (
        lambda m: m["CronJob/retrain"]["spec"].pop("schedule"), "'schedule' is a required property",
    ),
    "unknown kind": (lambda m: m["RayJob/pipeline"].update(kind="RayJobs"), "no schema of apiVersion=ray.io/v1"),
    "wrong version of the API": (
        lambda m: m["CronJob/retrain"].update(apiVersion="batch/v1beta1"), "no schema of apiVersion=batch/v1beta1",
    ),
    "value outside the choices": (
        lambda m: _cluster(m)["authOptions"].update(mode="tokens"), "'tokens' is not one of",
    ),
    "secret inlined in an environment": (
        lambda m: _redis(m)["env"].append({"name": "REDIS_PASSWORD", "value": "hunter2"}), "looks like a secret",
    ),
    "secret inlined in a ConfigMap": (
        lambda m: m["ConfigMap/workbench-environment"]["data"].update(WORKBENCH_API_KEY="abc"), "looks like a secret",
    ),
    "password in an address": (
        lambda m: _cluster(m)["gcsFaultToleranceOptions"].update(redisAddress="redis://:hunter2@redis:6379"),
        "looks like a secret",
    ),
    "latest image": (
        lambda m: _head(m)["containers"][0].update(image="ray-ai-workbench:latest"), "has no fixed tag",
    ),
    "image without a tag": (lambda m: _redis(m).update(image="registry:5000/redis"), "has no fixed tag"),
    "image of another version": (
        lambda m: _worker(m)["containers"][0].update(image="ray-ai-workbench:0.0.9-full"), "is not of version",
    ),
    "missing requests": (
        lambda m: _head(m)["containers"][0]["resources"].pop("requests"), "lacks resources.requests.cpu",
    ),
    "missing limit of memory": (lambda m: _redis(m)["resources"].pop("limits"), "lacks resources.limits.memory"),
    "root": (lambda m: _worker(m)["securityContext"].update(runAsNonRoot=False, runAsUser=0), "may run as root"),
    "privileges kept": (lambda m: _head(m)["containers"][0].pop("securityContext"), "keeps privileges"),
    "folder of the node": (
        lambda m: _head(m)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}), "reaches into its node",
    ),
    "missing probe": (lambda m: _worker(m)["containers"][0].pop("readinessProbe"), "has no readinessProbe"),
    "wrong version of Ray": (lambda m: _cluster(m).update(rayVersion="2.59.0"), "constraints.txt has"),
    "Ray without a token": (lambda m: _cluster(m).pop("authOptions"), "Ray is open"),
    "autoscaler v1": (lambda m: _cluster(m)["autoscalerOptions"].update(version="v1"), "autoscaler v2 is off"),
    "policy that lets anybody in": (lambda m: _rule(m, "ingress-to-endpoint").pop("from"), "lets anybody in"),
    "policy that lets every pod of every namespace in": (
        lambda m: _rule(m, "ingress-to-endpoint").update({"from": [{"namespaceSelector": {}}]}), "lets anybody in",
    ),
    "policy that lets the internet in": (
        lambda m: _rule(m, "operator-to-heads")["from"].append({"ipBlock": {"cidr": "0.0.0.0/0"}}), "lets anybody in",
    ),
    "policy that lets out to the cloud's metadata": (
        lambda m: _rule(m, "store-and-api", "egress")["to"][0]["ipBlock"].pop("except"), "metadata service",
    ),
    "no denial by default": (
        lambda m: m["NetworkPolicy/deny-all"]["spec"].update(policyTypes=["Egress"]), "denies by default",
    ),
    "service open to the world": (
        lambda m: m["Service/redis"]["spec"].update(type="LoadBalancer", clusterIP=""), "open to the world",
    ),
    "budget that selects nothing": (
        lambda m: m["PodDisruptionBudget/redis"]["spec"]["selector"].update(matchLabels={"app": "redis"}),
        "selects no pod",
    ),
    "volume that is not there": (
        lambda m: _head(m)["volumes"][1]["persistentVolumeClaim"].update(claimName="journal"), "which is not there",
    ),
    "default proxy": (
        lambda m: m["ConfigMap/workbench-environment"]["data"].pop("RAY_SERVE_ENABLE_HA_PROXY"),
        "is not set before Ray starts",
    ),
    "job that may be pending for ever": (
        lambda m: m["RayJob/pipeline"]["spec"].pop("activeDeadlineSeconds"), "pending for ever",
    ),
}  # fmt: skip
