"""The commands of `on-premise.yaml`, run: three nodes on this host form a cluster: closed, encrypted and private."""

import ast
import contextlib
import json
import socket
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from tests.deploy import nodes, rendered
from tests.deploy.nodes import Node, Nodes
from tests.deploy.rendered import ROOT
from tests.loop import commands
from tests.loop.commands import free_port
from tests.serve import sockets

RAY = Path(sys.executable).with_name("ray")
FILE = yaml.safe_load((ROOT / "deploy" / "clusters" / "on-premise.yaml").read_text())
TO_THE_HEAD, JUPYTER = FILE["head_start_ray_commands"]
(TO_A_WORKER,) = FILE["worker_start_ray_commands"]
SPREAD = """
import os, ray
ray.init()
@ray.remote(scheduling_strategy="SPREAD", num_cpus=1)
def where(_):
    import time; time.sleep(1)
    seen = [os.environ[name] for name in ("RAY_SERVE_ENABLE_HA_PROXY", "WORKBENCH_STORE")]
    return ray.get_runtime_context().get_node_id(), *seen
print("FOUND", sorted(set(ray.get([where.remote(n) for n in range(9)]))))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[Nodes]:
    """A head and two workers, told where the loop's store is."""
    own = {name: str(folder / name.lower()) for name in ("WORKBENCH_STORE", "WORKBENCH_JOURNAL", "WORKBENCH_KEYS")}
    ports = ("RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT")
    made = nodes.prepared(2, own | {name: str(free_port()) for name in ports})
    try:
        for node in made.all:
            done = node.run(TO_THE_HEAD if node is made.head else TO_A_WORKER)
            assert done.returncode == 0, done.stderr + done.stdout
        yield made
    finally:
        made.end()


def ask(nodes: Nodes, url: str, token: str | None = None, **more: Any) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    asked = urllib.request.Request(url, headers=headers | {"Content-Type": "application/json"}, **more)
    try:
        with urllib.request.urlopen(asked, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def job(nodes: Nodes, *words: str) -> subprocess.CompletedProcess[str]:
    own = nodes.head.environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": nodes.token}
    submit = [RAY, "job", "submit", "--address", nodes.dashboard, "--", *words]
    return subprocess.run(submit, env=own, capture_output=True, text=True, check=False, timeout=120)


def test_a_job_runs_on_all_three_nodes_with_the_environment_that_they_were_given(started: Nodes, folder: Path) -> None:
    done = job(started, "python", "-c", SPREAD)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("FOUND "))
    found = ast.literal_eval(line.removeprefix("FOUND "))
    assert len(found) == 3, done.stdout
    assert {one[1:] for one in found} == {("1", str(folder / "workbench_store"))}


def test_the_dashboard_is_on_loopback_and_asks_for_the_token(started: Nodes) -> None:
    url = f"{started.dashboard}/api/jobs/"
    assert [ask(started, url, token)[0] for token in (None, "0" * 64, started.token)] == [401, 403, 200]
    port = started.head.options["--dashboard-port"]
    assert sockets.addresses(port) == {"127.0.0.1"}


def handshake(started: Nodes, port: int, client: Node | None) -> str:
    """The subject of who answers there; raises where TLS, or a side's certificate, is refused."""
    context = ssl.create_default_context(cafile=str(started.given / "ca" / "ca.crt"))
    context.set_alpn_protocols(["h2"])
    if client:
        folder = client.home / "ray-node" / "tls"
        context.load_cert_chain(folder / "node.crt", folder / "node.key")
    plain = socket.create_connection(("127.0.0.1", port), 10)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert tls.recv(9), "closed"
        return str(tls.getpeercert())


def test_nodes_speak_tls_and_show_a_certificate_of_the_clusters_own_authority(started: Nodes) -> None:
    assert "127.0.0.1" in handshake(started, started.head.gcs_port, started.workers[0])
    with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)):
        handshake(started, started.head.gcs_port, None)


@pytest.mark.parametrize("part", ["", "spill", "tls", "given", "given/ray_token", "tls/node.key"])
def test_what_a_node_keeps_is_its_owners_only(started: Nodes, part: str) -> None:
    path = started.head.home / "ray-node" / part
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_the_token_is_on_no_command_line(started: Nodes) -> None:
    lines = []
    for pid in commands.processes():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode())
    assert any("raylet" in line for line in lines)
    assert not [line for line in lines if started.token in line]


def test_the_probes_of_the_kubernetes_manifests_are_answered_without_a_token(started: Nodes) -> None:
    manifests = rendered.overlay("laptop")
    (cluster,) = (one["spec"] for one in manifests if one["kind"] == "RayCluster")
    ports = {8265: "--dashboard-port", 52365: "--dashboard-agent-listen-port"}
    for node, group in ((started.head, cluster["headGroupSpec"]), (started.workers[0], cluster["workerGroupSpecs"][0])):
        (container,) = group["template"]["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            told = container[probe]["httpGet"]
            host = "127.0.0.1" if told["port"] == 8265 else node.head_ip  # kubelet asks the pod's address
            url = f"http://{host}:{node.options[ports[told['port']]]}{told['path']}"
            assert ask(started, url)[0] == 200, (probe, url)


def test_jupyterlab_on_the_head_is_on_loopback_and_asks_for_its_token(started: Nodes) -> None:
    if not Path(sys.executable).with_name("jupyter-lab").exists():
        pytest.skip("JupyterLab is not installed here: pip install jupyterlab")
    port = free_port()
    started.head.settings["WORKBENCH_JUPYTER_PORT"] = str(port)
    assert started.head.run(JUPYTER).returncode == 0
    token = (started.head.home / "ray-node" / "jupyter_token").read_text().strip()
    url = f"http://127.0.0.1:{port}/api/contents"
    assert commands.wait_until(lambda: answers(port), 60), (started.head.home / "ray-node" / "jupyter.log").read_text()
    assert [ask(started, url, one)[0] for one in (None, "0" * 64)] == [403, 403]
    asked = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(asked, timeout=20) as response:
        assert response.status == 200


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def configured(port: int) -> dict[str, Any]:
    """What KubeRay would send to Serve for the laptop's endpoint, one proxy: three nodes share this host's ports."""
    (service,) = (one for one in rendered.overlay("laptop") if one["kind"] == "RayService")
    told = yaml.safe_load(service["spec"]["serveConfigV2"])
    told |= {"proxy_location": "HeadOnly", "http_options": {"host": "127.0.0.1", "port": port}}
    told["applications"][0]["args"]["overrides"] += ["serve.host=127.0.0.1", f"serve.port={port}"]
    return told


def test_the_champion_is_served_by_the_configuration_that_the_rayservice_has(
    started: Nodes, folder: Path, first: CompletedProcess[str]
) -> None:
    port = free_port()
    url, told = f"{started.dashboard}/api/serve/applications/", json.dumps(configured(port)).encode()
    assert ask(started, url, started.token, method="PUT", data=told)[0] == 200
    state: dict[str, Any] = {}

    def running() -> bool:
        state.update(json.loads(ask(started, url, started.token)[1])["applications"].get("smoke", {}))
        assert state.get("status") not in ("DEPLOY_FAILED", "UNHEALTHY"), state
        return state.get("status") == "RUNNING"

    assert commands.wait_until(running, 100), state
    assert commands.wait_until(
        lambda: answers(port) and ask(started, f"http://127.0.0.1:{port}/-/healthz")[0] == 200, 30
    )
    event = {"transaction_id": 99_999_999, "event_time": "2018-08-22T09:12:41Z", "customer_id": 5, "terminal_id": 3,
             "amount_minor": 5716}  # fmt: skip
    key, score = (folder / "workbench_keys" / "api.key").read_text().strip(), f"http://127.0.0.1:{port}/v1/score"
    body = json.dumps(event).encode()
    assert ask(started, score, method="POST", data=body)[0] == 401
    status, answer = ask(started, score, key, method="POST", data=body)
    assert status == 200 and json.loads(answer)["model_version"], answer
    assert ask(started, url, started.token, method="DELETE")[0] == 200


def test_a_worker_that_is_started_again_ends_its_own_ray_and_no_other(started: Nodes) -> None:
    again = started.workers[1]
    before = {node.home: node.pid() for node in started.all}
    assert again.run(TO_A_WORKER).returncode == 0
    assert commands.alive([before[again.home]]) == [] and again.pid() != before[again.home]
    others = [before[node.home] for node in started.all if node is not again]
    assert commands.alive(others) == sorted(others)
