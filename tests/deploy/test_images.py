"""The images as they were built: their size, their user, and that they do what they are for. Started without Docker.

`make images-test` builds them and sets WORKBENCH_IMAGES to the names of those that were built; otherwise skipped.
Chroot isolation shares the host's network and processes: it tries an image and protects from nothing.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.loop import commands
from workbench.governance.keys import Keys
from workloads.endpoint.ports import SERVE_PORTS

BUILT = os.environ.get("WORKBENCH_IMAGES", "").split()
BUILDAH = ["buildah", "--storage-driver", os.environ.get("STORAGE_DRIVER", "overlay")]
LIMITS = {"serve": 1.2e9, "sagemaker": 4.5e9, "full": 4.5e9}
EVENT = {
    "transaction_id": 9_999_999, "event_time": "2018-08-22T09:12:41Z", "customer_id": 59, "terminal_id": 31,
    "amount_minor": 5716,
}  # fmt: skip


def buildah(*words: str) -> str:
    return subprocess.run([*BUILDAH, *words], check=True, capture_output=True, text=True).stdout


def needs(target: str) -> str:
    """The image's name; the test is skipped, visibly, where it was not built."""
    if target not in BUILT:
        pytest.skip(f"the image {target} was not built here: make images-test, as root with buildah")
    return f"localhost/ray-ai-workbench:0.1.0-{target}"


class Container:
    """A container of an image, started with what the image itself says."""

    def __init__(self, image: str) -> None:
        # as many files as a container engine allows, and HAProxy asks for; this isolation's own limit is 1024
        self.id = buildah("from", "--ulimit", "nofile=20000:20000", image).strip()
        self.config = json.loads(buildah("inspect", self.id))["Docker"]["config"]

    def start(self, command: Sequence[str], mounts: dict[Path, str], **environment: str) -> "subprocess.Popen[str]":
        words = [*(self.config["Entrypoint"] or []), *(command or self.config["Cmd"])]
        volumes = [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}")]
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        return subprocess.Popen(
            [*BUILDAH, "run", "--isolation", "chroot", *volumes, *variables, self.id, "--", *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def remove(self) -> None:
        buildah("rm", self.id)


@pytest.fixture
def container(request: pytest.FixtureRequest) -> Iterator[Container]:
    made = Container(needs(request.param))
    yield made
    made.remove()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a released version of the smoke experiment, made by this checkout, that uid 1000 may use."""
    if not BUILT:
        pytest.skip("no image was built here: make images-test, as root with buildah")
    folder = tmp_path_factory.mktemp("home", numbered=False)
    python(folder, "deploy.release(cfg, version.chosen(cfg))")
    open_to_all(folder)
    return folder


def python(folder: Path, statement: str, *words: str) -> None:
    """Do something with the steps and the config of the smoke experiment, in a process of its own."""
    ours = "from workloads import deploy, door; from workloads.endpoint import given, version"
    program = f"import sys; from pathlib import Path; {ours}; cfg = door.composed(sys.argv[1:]); {statement}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    names = {f"WORKBENCH_{name.upper()}": str(folder / name) for name in ("store", "keys", "journal")}
    subprocess.run(
        [sys.executable, "-c", program, *commands.SMOKE, "tracker=disabled", *words],
        cwd=commands.ROOT, env=inherited | names, check=True, timeout=400,
    )  # fmt: skip


def open_to_all(folder: Path) -> None:
    """Let uid 1000 use what this test's root has made."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 1000, 1000)


def ended(process: "subprocess.Popen[str]") -> str:
    """What a container said, after it was asked to end as its host would ask."""
    for pid in commands.descendants(process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if Path(f"/proc/{pid}").exists() else []
        if command and Path(command[0].decode()).name == "tini":
            os.kill(pid, signal.SIGTERM)
    try:
        said, _ = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        commands.kill([*commands.descendants(process.pid), process.pid])
        raise
    return said


def ask(url: str, body: dict[str, Any] | None = None, key: str = "") -> Any:
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=10) as answer:
        return json.load(answer)


def answers(url: str) -> bool:
    try:
        return bool(ask(url))
    except OSError:
        return False


@pytest.mark.parametrize("target", LIMITS)
def test_an_image_is_small_and_says_what_is_in_it(target: str) -> None:
    image = needs(target)
    size = json.loads(buildah("images", "--json", image))[0]["size"]
    number, unit = size.split()
    assert float(number) * {"MB": 1e6, "GB": 1e9}[unit] <= LIMITS[target], size
    config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    assert config["User"] == ("0:0" if target == "sagemaker" else "1000:1000")
    assert ("Healthcheck" in config) == (target != "full")


@pytest.mark.parametrize("container", ["serve"], indirect=True)
def test_the_serve_image_has_nothing_that_trains_and_lists_all_that_it_has(container: Container) -> None:
    mounted = Path(buildah("mount", container.id).strip())
    try:
        packages = mounted / "opt/venv/lib/python3.11/site-packages"
        found = [name for name in ("torch", "tensorflow", "xgboost", "sklearn", "onnx") if (packages / name).exists()]
        sbom = json.loads((mounted / "opt/venv/sbom.json").read_text())
    finally:
        buildah("umount", container.id)
    assert found == []
    listed = {one["name"]: one["version"] for one in sbom["components"]}
    assert sbom["bomFormat"] == "CycloneDX"
    assert {"ray", "onnxruntime", "deltalake"} <= set(listed)


@pytest.mark.parametrize("container", ["serve"], indirect=True)
def test_the_serve_image_serves_the_champion_until_it_is_asked_to_end(container: Container, home: Path) -> None:
    port = commands.free_port()
    serving = [*container.config["Cmd"], "experiment=smoke", "scaling.workers=2", "tracker=disabled"]
    local = [word.replace("serve.host=0.0.0.0", "serve.host=127.0.0.1") for word in serving]
    moved = {name: str(commands.free_port()) for name in SERVE_PORTS}
    process = container.start([*local, f"serve.port={port}"], {home: "/var/lib/workbench"}, **moved)
    try:
        assert commands.wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/readyz") or process.poll() is not None, 120
        )
        key = (home / "keys" / "api.key").read_text()
        assert ask(f"http://127.0.0.1:{port}/v1/score", EVENT, key)["decision"] in ("pass", "flag")
    finally:
        said = ended(process)
    assert "interrupted" in said, said[-2000:]


@pytest.mark.parametrize("container", ["sagemaker"], indirect=True)
def test_the_sagemaker_image_keeps_the_hosts_contract(container: Container, home: Path, tmp_path: Path) -> None:
    public, port = Keys(str(home / "keys")).verifying().public_bytes_raw().hex(), commands.free_port()
    python(home, f"given.packed(cfg, version.chosen(cfg), Path({str(tmp_path / 'model')!r}))", "serve.version=champion")
    process = container.start(
        ["serve"], {tmp_path / "model": "/opt/ml/model:ro"}, WORKBENCH_VERIFYING_KEY=public,
        SAGEMAKER_BIND_TO_PORT=str(port), WORKBENCH_HOST="127.0.0.1",
    )  # fmt: skip
    try:
        assert commands.wait_until(lambda: answers(f"http://127.0.0.1:{port}/ping") or process.poll() is not None, 90)
        assert ask(f"http://127.0.0.1:{port}/invocations", EVENT)["decision"] in ("pass", "flag")
    finally:
        said = ended(process)
    assert process.returncode == 0, said[-2000:]


@pytest.mark.parametrize("container", ["full"], indirect=True)
def test_the_full_image_runs_the_loop(container: Container, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    words = [*container.config["Cmd"], "experiment=smoke", f"serve.port={commands.free_port()}"]
    moved = {name: str(commands.free_port()) for name in SERVE_PORTS}
    process = container.start(words, {tmp_path: "/var/lib/workbench"}, **moved)
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said[-3000:]
