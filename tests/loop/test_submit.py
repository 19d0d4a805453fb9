"""Jobs on a cluster of three nodes behind a token: once, again, refused, stopped, and with a node lost."""

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import kills_check, nodes
from benchmarks.cluster_work import Work
from benchmarks.nodes import BIN, ROOT, Nodes
from workbench.data.store import Store
from workbench.jobs import package
from workloads import submit

pytestmark = pytest.mark.slow
SMALL = ("experiment=smoke", "tracker=disabled", "data.source.benchmark.customers=100")
TRAIN = (*SMALL, "train.families=[torch_mlp]", "train.torch_mlp.epochs=6", "scaling.workers=2",
         "scaling.cpus_per_worker=1", "scaling.max_failures=4")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def three(folder: Path) -> Iterator[Nodes]:
    with nodes.running(folder) as running:
        yield running


def name_in(said: str) -> str:
    return re.findall(r"[0-9a-f]{16}-\d+", said)[0]


def test_a_step_that_is_submitted_twice_runs_once_and_is_returned_when_it_is_finished(
    three: Nodes, folder: Path
) -> None:
    words = ("ingest", *SMALL, f"storage.root={folder / 'store'}")
    first = three.submit(*words, f"output.json={folder / 'out.json'}", "--follow")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "workbench/data/samples/lending_club.parquet" in first.stderr, "the largest files are listed"
    record = json.loads((folder / "out.json").read_text())
    assert Store(str(folder / "store")).keys("raw") == [record["id"]]
    again = three.submit(*words)
    assert (again.returncode, again.stdout.strip()) == (0, record["uri"])
    assert f"{name_in(first.stderr)}: attempt 1 is finished: nothing is run" in again.stderr
    listed = three.submit("list").stdout
    assert listed.count(name_in(first.stderr).partition("-")[0]) == 1
    assert re.search(r"SUCCEEDED +ingest +smoke +\S+@\S+ +\w+", listed)


def test_a_plain_ray_job_finds_what_a_submitted_one_has_done(three: Nodes, folder: Path) -> None:
    job = [BIN / "ray", "job", "submit", "--address", three.dashboard, "--working-dir", ".", "--"]
    step = ["python", "-m", "workloads.validate", *SMALL, f"storage.root={folder / 'store'}"]
    done = subprocess.run(
        [*job, *step], cwd=ROOT, env=three.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(Store(str(folder / "store")).keys("raw")) == 1


@pytest.fixture
def client(three: Nodes, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process as a client of the cluster, with its address and token in the environment."""
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", three.dashboard)
    monkeypatch.setenv("RAY_AUTH_TOKEN", three.environment["RAY_AUTH_TOKEN"])
    return monkeypatch


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the client says before it ends with 3."""
    with pytest.raises(SystemExit) as ended:
        submit.main(words)
    said = capsys.readouterr().err
    assert ended.value.code == 3, said
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


def test_a_cluster_that_is_away_or_keeps_us_out_is_one_sentence(
    client: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client.setenv("RAY_AUTH_TOKEN", "bad")
    assert "refuses the token. It is another cluster's" in refused(["list"], capsys)
    client.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere")
    client.delenv("RAY_AUTH_TOKEN")
    assert "asks for a token and was given none. Set RAY_AUTH_TOKEN" in refused(["list"], capsys)
    away = f"http://127.0.0.1:{nodes.free_port()}"
    assert f"No cluster answers at {away}" in refused(["list", "--address", away], capsys)


def test_another_ray_is_refused_with_both_versions(
    client: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = importlib.metadata.version("ray")
    client.setattr(importlib.metadata, "version", lambda _: "2.59.0")
    assert f"runs Ray {ours}, and this workbench is made for 2.59.0" in refused(["list"], capsys)


MISMATCHED = """
import os, sys
import ray
os.environ["RAY_ADDRESS"] = f"{ray.util.get_node_ip_address()}:{sys.argv[1]}"
ray.__version__ = "2.59.0"
from workbench import cluster
from workbench.config import Config, KeysConfig, ScalingConfig
cluster.up(Config(name="x", scaling=ScalingConfig(name="x"), keys=KeysConfig()))
"""


def test_a_job_whose_python_has_another_ray_than_the_cluster_is_told_what_to_install(three: Nodes) -> None:
    done = three.run("-c", MISMATCHED, three.address.partition(":")[2])
    assert "EnvironmentFault: No Ray: Version mismatch" in done.stderr
    assert "Install the same Python and Ray on every node" in done.stderr.splitlines()[-1]


def test_what_no_node_has_and_what_is_too_large_is_refused_before_anything_is_submitted(
    client: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "validate", *SMALL, f"storage.root={folder / 'refused'}"]
    said = refused([*words, "--resource", "TPU=1", "--cpus", "1"], capsys)
    assert "No node of the cluster has CPU 1 and TPU 1" in said
    client.setattr(package, "LIMIT_BYTES", 1000)
    assert "Move data out of the folders of code" in refused(words, capsys)
    assert not (folder / "refused").exists()


def test_a_storage_that_may_not_be_written_ends_the_job_with_a_sentence(three: Nodes) -> None:
    done = three.submit("ingest", *SMALL, "storage.root=/sys/store", "--follow")
    assert done.returncode == 3, done.stdout + done.stderr
    assert re.search(r"error: .*could not be written: .*(denied|not permitted).* or ask for the right", done.stdout)


def test_a_diagnosis_from_the_head_finds_every_node_and_the_store(three: Nodes, folder: Path) -> None:
    words = ("doctor", *SMALL, f"storage.root={folder / 'store'}", f"output.json={folder / 'doctor.json'}", "--follow")
    done = three.submit(*words)
    figures = json.loads((folder / "doctor.json").read_text())["figures"]
    found = {one["what"]: one for one in figures["findings"]}
    assert "3 nodes" in found["cluster"]["said"]
    assert found["nodes"]["said"] == "3 answered"
    assert (done.returncode == 0) == (figures["wrong"] == 0), done.stdout


def test_a_node_that_is_killed_while_it_trains_changes_nothing(three: Nodes, folder: Path) -> None:
    base = Work(three, folder / "base", TRAIN)
    base.run("featurize")
    undisturbed, disturbed = base.copied("undisturbed"), base.copied("disturbed")
    undisturbed.run("train")
    started = disturbed.start("train")
    again = disturbed.start("train")  # it follows the one that runs
    assert disturbed.kill_a_node(started, "train", after=2), disturbed.said(started)
    assert (disturbed.finish(started), disturbed.finish(again)) == (0, 0)
    assert kills_check.faults("torch_mlp", undisturbed.store, disturbed.store) == []
    assert "this follows" in disturbed.said(again) + disturbed.said(started)
    three.add()
