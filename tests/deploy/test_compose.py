"""What `docker compose` starts: nothing beyond loopback, no secret in the file, everything pinned and watched."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
SECRETS = ("WORKBENCH_REDIS_PASSWORD", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
OTHERS = sorted(set(SERVICES) - {"workbench", "train"})


def composed(file: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What docker-compose says of a file, without an engine; the test is skipped, visibly, where it is missing."""
    if not (program := shutil.which("docker-compose")):
        pytest.skip("docker-compose is not installed (apt-get install docker-compose)")
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [program, "--file", str(file), "config"]
    return subprocess.run(command, env=inherited | variables, capture_output=True, text=True, check=False)


def test_the_parts_are_there() -> None:
    assert set(SERVICES) == {"workbench", "train", "redis", "kafka", "postgres", "prometheus", "grafana"}


def test_docker_compose_takes_the_file() -> None:
    done = composed(FILE, **dict.fromkeys(SECRETS, "x"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("secret", SECRETS)
def test_it_does_not_start_without_a_secret(secret: str) -> None:
    done = composed(FILE, **{name: "x" for name in SECRETS if name != secret})
    assert done.returncode != 0
    assert "set it in deploy/.env" in done.stderr


@pytest.mark.parametrize("planted", ["prots: []", "healthcheck: {tests: [CMD, x]}", "ports: {a: 1}"])
def test_docker_compose_catches_a_mistake(tmp_path: Path, planted: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"services:\n  redis:\n    image: redis:7.2.7\n    {planted}\n")
    assert composed(tmp_path / "compose.yaml").returncode != 0


def test_ports_are_published_on_loopback_alone() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert len(ports) == 6
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


def test_no_service_has_the_hosts_network_or_more_rights() -> None:
    asked = [key for one in SERVICES.values() for key in one if key in ("network_mode", "privileged", "pid", "cap_add")]
    assert asked == []


@pytest.mark.parametrize("name", OTHERS)
def test_an_image_of_others_is_pinned_to_a_patch_and_watched(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+(\.\d+){1,2}(-\w+)?", SERVICES[name]["image"])
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_passwords_come_from_the_environment_and_have_no_default() -> None:
    said = re.findall(r"^.*PASSWORD.*$", FILE.read_text(), re.MULTILINE)
    given = [line for line in said if "$$" not in line]
    assert len(given) == 4
    assert [line for line in given if not re.search(r"\$\{\w+:\?set it in deploy/\.env\}", line)] == []


def test_the_example_names_every_variable_and_holds_no_password() -> None:
    lines = [line for line in (DEPLOY / "compose" / "example.env").read_text().splitlines() if "=" in line]
    told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text())) == set(told)
    assert {told[name] for name in SECRETS} == {""}


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])]
    files = [mount for mount in mounts if mount.startswith("./")]
    assert len(files) == 4
    assert [one for one in files if not (DEPLOY / one).is_file()] == []


def test_prometheus_reads_its_configuration() -> None:
    if not (program := shutil.which("promtool")):
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [program, "check", "config", str(DEPLOY / "compose" / "prometheus.yaml")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    board = json.loads((DEPLOY / "compose" / "grafana" / "endpoint.json").read_text())
    sources = yaml.safe_load((DEPLOY / "compose" / "grafana" / "sources.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {one["uid"] for one in sources}
    assert all(target["expr"].count("haproxy_") for panel in board["panels"] for target in panel["targets"])
