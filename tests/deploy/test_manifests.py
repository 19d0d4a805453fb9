"""The manifests are what Kubernetes and KubeRay know, and keep our own rules; mistakes planted in them are found."""

import copy
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy import rendered, rules, schemas
from tests.deploy.planted import PLANTED
from tests.deploy.pods import matches, pods_of
from tests.deploy.rendered import ROOT, Manifest
from workbench import cluster
from workloads import door

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RAY = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]  # type: ignore[index]
OVERLAYS = ("laptop", "production")
OF_A_LAPTOP = {  # what the one machine of `workbench/cluster.py` needs and a cluster does not
    "RAY_SERVE_HAPROXY_NBTHREAD",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
}


@pytest.fixture(scope="module")
def overlays() -> dict[str, list[Manifest]]:
    return {name: rendered.overlay(name) for name in OVERLAYS}


def test_there_are_two_overlays_and_the_base_has_every_file_in_it() -> None:
    assert sorted(path.name for path in rendered.OVERLAYS.iterdir()) == list(OVERLAYS)
    for listed in rendered.OVERLAYS.parent.rglob("kustomization.yaml"):
        told = yaml.safe_load(listed.read_text())
        named = {*told["resources"], *(one["path"] for one in told.get("patches", ()) if "path" in one)}
        there = {path.name for path in listed.parent.glob("*.yaml")} - {"kustomization.yaml", "kind.yaml"}
        assert there == {one for one in named if not one.startswith("..")}, listed


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_has_no_fault(overlays: dict[str, list[Manifest]], name: str) -> None:
    assert rules.faults(overlays[name], RAY, VERSION) == []
    kinds = {one["kind"] for one in overlays[name]}
    assert kinds >= {"RayCluster", "RayJob", "RayService", "CronJob", "NetworkPolicy", "PodDisruptionBudget"}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(overlays: dict[str, list[Manifest]], mistake: str) -> None:
    change, said = PLANTED[mistake]
    manifests = copy.deepcopy(overlays["production"])
    change({schemas.named(one): one for one in manifests})
    found = rules.faults(manifests, RAY, VERSION)
    assert any(said in fault for fault in found), found


def test_at_least_twelve_kinds_of_mistakes_are_planted() -> None:
    assert len(PLANTED) >= 12


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="given twice"):
        yaml.load("a: 1\na: 2", Loader=rendered.Once)


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_get_what_ray_and_the_steps_read_from_the_environment(
    overlays: dict[str, list[Manifest]], name: str
) -> None:
    (found,) = (one for one in overlays[name] if schemas.named(one) == "ConfigMap/workbench-environment")
    shared = {key: value for key, value in cluster.ENVIRONMENT.items() if key not in OF_A_LAPTOP}
    assert {key: found["data"].get(key) for key in shared} == shared
    assert not OF_A_LAPTOP & found["data"].keys()


def entrypoints(manifests: list[Manifest]) -> Iterator[str]:
    yield from (one["spec"]["entrypoint"] for one in manifests if one["kind"] == "RayJob")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_command_of_a_job_is_a_step_whose_config_composes(overlays: dict[str, list[Manifest]], name: str) -> None:
    commands = [shlex.split(one) for one in entrypoints(overlays[name])]
    assert len(commands) == 2
    for python, dash, module, *overrides in commands:
        assert (python, dash) == ("python", "-m") and importlib.util.find_spec(module)
        assert door.composed(overrides).name


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_kuberay_sends_to_serve_is_a_configuration_that_serve_takes(
    overlays: dict[str, list[Manifest]], name: str
) -> None:
    from ray.serve.schema import ServeDeploySchema

    (service,) = (one for one in overlays[name] if one["kind"] == "RayService")
    told = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = told.applications
    module, _, builder = application.import_path.partition(":")
    assert callable(getattr(importlib.import_module(module), builder))
    cfg = door.composed(application.args["overrides"])
    assert (cfg.serve.application, cfg.serve.version) == (application.name, "champion")
    assert (cfg.serve.host, cfg.serve.port) == ("0.0.0.0", told.http_options.port)
    workers = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert cfg.serve.replicas <= workers["minReplicas"], "a replica per pod"


def open_to(manifests: list[Manifest], labels: dict[str, str], port: int) -> list[Any]:
    """Who may reach a port of pods with these labels, by the policies that name it."""
    found = []
    for one in (one for one in manifests if one["kind"] == "NetworkPolicy"):
        for rule in one["spec"].get("ingress", ()) if matches(one["spec"]["podSelector"], labels) else ():
            if not rule.get("ports") or port in {told["port"] for told in rule["ports"]}:
                found += rule["from"]
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_port_of_ray_and_haproxy_is_open_beyond_the_pods_of_its_cluster(
    overlays: dict[str, list[Manifest]], name: str
) -> None:
    """The ports are those of `serve/README.md` that cannot be bound to loopback, and what Ray's own processes use."""
    pods = [pod for one in overlays[name] for pod in pods_of(one) if "ray.io/node-type" in pod.labels]
    assert len(pods) >= 6
    for pod in pods:
        own = {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": pod.labels["app.kubernetes.io/component"]}}
        }
        for port in (6379, 8404, 10001, 44217, 44227, 52365, 10002, 19999):
            assert open_to(overlays[name], pod.labels, port) == [own], (pod.owner, port)
        asking = open_to(overlays[name], pod.labels, 9101)
        assert asking.pop(0) == own and [one["namespaceSelector"]["matchLabels"] for one in asking] == [
            {"kubernetes.io/metadata.name": "monitoring"}
        ]


def test_the_way_to_another_feature_view_names_what_is_there(overlays: dict[str, list[Manifest]]) -> None:
    """The README's commands end every pod of the endpoint, promote on the shared cluster, and clear the right state."""
    text = (ROOT / "deploy" / "README.md").read_text()
    said = re.search(
        r"delete rayservice (\w+)\n.* -l (\S+)=(\S+) .*\n.* exec svc/(\w+)-head-svc -- python -m workloads\.deploy"
        r".*\n.*release\.action=promote .*\n.* exec (\w+)-0 -- sh -c \\\n.*redis-cli -n (\d+) .*'workbench:{(\w+):",
        text,
    )
    assert said, "the commands, in their order"
    service, label, value, cluster_name, redis, database, application = said.groups()
    named = {schemas.named(one): one for one in overlays["production"]}
    endpoint = named[f"RayService/{service}"]
    assert {pod.labels[label] for pod in pods_of(endpoint)} == {value}
    assert {f"RayCluster/{cluster_name}", f"StatefulSet/{redis}"} <= named.keys()
    (told,) = yaml.safe_load(endpoint["spec"]["serveConfigV2"])["applications"]
    cfg = door.composed(told["args"]["overrides"])
    assert (told["name"], cfg.serve.redis_url) == (application, f"redis://redis:6379/{database}")
