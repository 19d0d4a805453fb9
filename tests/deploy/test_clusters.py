"""The files for `ray up` are what Ray takes, and keep what we promise of a cluster: closed, private, and not idle."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import ROOT, Once

CLUSTERS = ROOT / "deploy" / "clusters"
FILES = sorted([ROOT / "cluster.yaml", *CLUSTERS.glob("*.yaml")])
SECRET = re.compile(r"\b[0-9a-f]{40,}\b|AKIA[0-9A-Z]{16}|PRIVATE KEY|aws_secret_access_key", re.IGNORECASE)


def told(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=Once)


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` prepares it; raises where Ray would."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    made = prepare_config(config)
    validate_config(made)
    return made


def test_there_is_a_cluster_for_aws_gcp_and_machines_of_your_own() -> None:
    assert [path.name for path in FILES] == ["cluster.yaml", "gcp.yaml", "on-premise.yaml"]
    assert sorted(told(path)["provider"]["type"] for path in FILES) == ["aws", "gcp", "local"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ray_takes_it_as_it_is(path: Path) -> None:
    made = prepared(told(path))
    assert made["available_node_types"][made["head_node_type"]]["max_workers"] in (0, 2)
    assert all("ray stop" not in one for key in made if key.endswith("_commands") for one in made[key])


@pytest.mark.parametrize(
    "change",
    [
        {"idle_timeout": 5},
        {"max_workers": "12"},
        {"provider": {"type": "aws", "region": 1}},
        {"head_node_type": "header"},
        {"available_node_types": {"head": {"node_config": {}}}},
        {"docker": {"picture": "x"}},
    ],
)
def test_ray_refuses_a_mistake_in_it(change: dict[str, Any]) -> None:
    import jsonschema

    with pytest.raises((jsonschema.ValidationError, ValueError)):
        prepared(told(ROOT / "cluster.yaml") | change)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_node_is_started_by_the_script_that_closes_it(path: Path) -> None:
    config = told(path)
    script = "PATH=~/venv/bin:$PATH bash ~/workbench/deploy/clusters/"
    assert config["head_start_ray_commands"] == [f"{script}node.sh head", f"{script}jupyter.sh"]
    assert config["worker_start_ray_commands"] == [f"{script}node.sh worker $RAY_HEAD_IP"]
    assert set(config["file_mounts"]) == {"~/workbench", "~/ray-node/given"}
    assert {".git", ".venv", "store"} <= set(config["rsync_exclude"])
    assert config["idle_timeout_minutes"] <= 15
    assert not SECRET.search(path.read_text())


@pytest.mark.parametrize("name", ["cluster.yaml", "deploy/clusters/gcp.yaml"])
def test_a_cloud_has_cpu_and_gpu_workers_on_spot_machines_that_come_and_go(name: str) -> None:
    config = told(ROOT / name)
    kinds = config["available_node_types"]
    assert set(kinds) == {"head", "cpu", "gpu"} and kinds["gpu"]["resources"]["GPU"] == 1
    assert kinds["head"]["resources"] == {"CPU": 0}
    for one in ("cpu", "gpu"):
        assert kinds[one]["min_workers"] == 0 < kinds[one]["max_workers"]
        assert re.search("spot", json.dumps(kinds[one]["node_config"]), re.IGNORECASE)
    assert not re.search("spot", json.dumps(kinds["head"]), re.IGNORECASE), "the head stays"
    assert sum(kinds[one]["max_workers"] for one in ("cpu", "gpu")) == config["max_workers"]


def test_a_machine_on_aws_has_its_own_role_and_group_an_encrypted_disk_and_no_open_metadata() -> None:
    config = told(ROOT / "cluster.yaml")
    assert "security_group" not in config["provider"], "Ray would add SSH from everywhere to it"
    for name, kind in config["available_node_types"].items():
        node = kind["node_config"]
        role = "head" if name == "head" else "worker"
        assert node["IamInstanceProfile"]["Arn"].endswith(f"instance-profile/ray-ai-workbench-{role}")
        assert node["SecurityGroupIds"] and node["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])


def statements(role: str) -> Iterator[dict[str, Any]]:
    policy = json.loads((CLUSTERS / "iam" / f"{role}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    for one in policy["Statement"]:
        yield one | {"Action": [one["Action"]] if isinstance(one["Action"], str) else one["Action"]}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_role_reaches_the_stores_prefix_of_one_bucket_and_nothing_else_in_s3(role: str) -> None:
    for one in statements(role):
        assert one["Effect"] == "Allow" and not any(action.endswith("*") for action in one["Action"])
        if any(action.startswith("s3:") for action in one["Action"]):
            within = one["Resource"] == "arn:aws:s3:::example-workbench/store/*" or "Condition" in one
            assert within and one["Resource"].startswith("arn:aws:s3:::example-workbench")
        elif one["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in one["Action"])
    services = {action.split(":")[0] for one in statements(role) for action in one["Action"]}
    assert services == ({"s3"} if role == "worker" else {"s3", "ec2", "iam"})


def run(script: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = ["bash", str(CLUSTERS / script), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_what_nodes_are_given_is_made_once_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = run("prepare.sh", home=tmp_path)
    folder = tmp_path / ".config" / "ray-ai-workbench" / "cluster"
    made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert set(made) == {"ray_token", "ca/ca.key", "ca/ca.crt", "environment"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.rglob("*")])
    token = made["ray_token"].decode().strip()
    assert len(bytes.fromhex(token)) == 32 and token not in first.stdout + first.stderr
    assert run("prepare.sh", home=tmp_path).returncode == 0
    assert made == {name: (folder / name).read_bytes() for name in made}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["head"], "ray_token is missing. Run deploy/clusters/prepare.sh"),
        (["boss"], "boss is neither head nor worker"),
        ([], "head or worker"),
    ],
)
def test_a_node_without_its_token_or_role_does_not_start(tmp_path: Path, words: list[str], said: str) -> None:
    done = run("node.sh", *words, home=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr
