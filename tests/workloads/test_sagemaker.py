"""The container's entry as a plain process: what the host starts, asks, and reads when it fails."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serve import package
from tests.loop import commands
from tests.serve.small import EVENT, settings
from workbench.data.store import Store
from workbench.governance.keys import Keys
from workloads import sagemaker

KEYS = Keys(os.environ["WORKBENCH_KEYS"])
PUBLIC = KEYS.verifying().public_bytes_raw().hex()


@pytest.fixture
def ml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /opt/ml."""
    root = tmp_path / "ml"
    (root / "input" / "config").mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_OPT_ML", str(root))
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)
    return root


def environment(ml: Path, **more: str) -> dict[str, str]:
    """The variables that a container has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "WORKBENCH_", "AWS_"))}
    return {
        **kept,
        "TMPDIR": str(ml),
        "WORKBENCH_OPT_ML": str(ml),
        "WORKBENCH_KEYS": str(ml / "keys"),
        "WORKBENCH_HOST": "127.0.0.1",
        **more,
    }


def start(ml: Path, verb: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "workloads.sagemaker", verb],
        cwd=commands.ROOT, env=environment(ml, **more), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def said(ml: Path, verb: str, **more: str) -> tuple[int, str]:
    process = start(ml, verb, **more)
    _, text = process.communicate(timeout=60)
    return process.returncode, text


def ask(port: int, path: str, event: dict[str, Any] | None = None) -> Any:
    body = None if event is None else json.dumps(event).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return json.load(answer)


def answers(port: int) -> bool:
    try:
        return bool(ask(port, "/ping"))
    except OSError:
        return False


def write(ml: Path, name: str, content: Any) -> None:
    (ml / "input" / "config" / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_serve_answers_until_sigterm_and_leaves_what_it_acknowledged_in_the_tables(ml: Path, tmp_path: Path) -> None:
    given = settings(Store(str(tmp_path / "store")), tmp_path)
    package.write(ml / "model", Store(given.store), given, KEYS.signing())
    port, shared = commands.free_port(), str(tmp_path / "store")
    process = start(
        ml, "serve", WORKBENCH_VERIFYING_KEY=PUBLIC, SAGEMAKER_BIND_TO_PORT=str(port), WORKBENCH_STORE=shared,
        WORKBENCH_JOURNAL=str(tmp_path / "journal"),
    )  # fmt: skip
    try:
        assert commands.wait_until(lambda: answers(port), 60)
        assert ask(port, "/invocations", EVENT)["model_version"] == "v1"
    finally:
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=30)
    assert (process.returncode, text) == (0, "")
    assert list((tmp_path / "store" / "tables").rglob("*.parquet")), "the journal was moved"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "WORKBENCH_VERIFYING_KEY is not set: nothing says whose packages may be scored."),
        ({"WORKBENCH_VERIFYING_KEY": "abc"}, "must be 64 hex digits"),
        ({"WORKBENCH_VERIFYING_KEY": PUBLIC}, "holds no package (No such file or directory:"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(ml: Path, variables: dict[str, str], message: str) -> None:
    code, text = said(ml, "serve", **variables)
    assert code == 3
    assert message in text
    assert "Traceback" not in text


def test_no_verb_and_an_unknown_one_are_told() -> None:
    assert sagemaker.main([]) == sagemaker.main(["predict"]) == 2


def test_hyperparameters_are_words_of_a_command_line(ml: Path) -> None:
    write(ml, "hyperparameters.json", {"experiment": "smoke", "train.xgboost.rounds": "5", "sagemaker_region": "x"})
    (ml / "input" / "data" / "training").mkdir(parents=True)
    assert sagemaker.words(ml) == [
        "tracker=disabled",
        f"storage.root={ml}/checkpoints/store",
        f"data.source.path={ml}/input/data/training",
        "experiment=smoke",
        "train.xgboost.rounds=5",
    ]


def test_all_that_a_job_lacks_is_told_at_once_and_left_for_the_host(ml: Path) -> None:
    write(ml, "resourceconfig.json", {"hosts": ["algo-1", "algo-2"], "current_host": "algo-1"})
    write(ml, "inputdataconfig.json", {"training": {}, "validation": {}})
    code, text = said(ml, "train")
    assert code == 2
    for part in (
        "InstanceCount=2",
        "channel validation is not known. Use training:",
        "WORKBENCH_SIGNING_KEY is not set",
    ):
        assert part in text
    assert (ml / "output" / "failure").read_text() in text


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"train.xgboost.rounds": "many"}, "could not be converted to Integer"),
        ({"train.xgboost.round": "5"}, "train.xgboost.round is no key of the configuration"),
        ("{", "hyperparameters.json is not JSON"),
        ("[]", "hyperparameters.json holds list"),
    ],
)
def test_a_wrong_hyperparameter_is_one_sentence_in_the_failure_file(
    ml: Path, monkeypatch: pytest.MonkeyPatch, told: Any, message: str
) -> None:
    monkeypatch.setenv("WORKBENCH_SIGNING_KEY", "11" * 32)
    write(ml, "hyperparameters.json", told)
    assert sagemaker.main(["train"]) == 2
    failure = (ml / "output" / "failure").read_text()
    assert message in failure
    assert "Traceback" not in failure


def test_a_channel_for_data_that_makes_its_own_rows_is_refused(ml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SIGNING_KEY", "11" * 32)
    write(ml, "hyperparameters.json", {"experiment": "smoke"})
    (ml / "input" / "data" / "training").mkdir(parents=True)
    assert sagemaker.main(["train"]) == 2
    assert "Leave the channel out" in (ml / "output" / "failure").read_text()


@pytest.mark.slow
def test_train_leaves_a_package_that_serve_answers_from(ml: Path) -> None:
    write(ml, "hyperparameters.json", {"experiment": "smoke", "train.families": "[xgboost]", "scaling.ray_cpus": "2"})
    signing = "11" * 32
    process = start(ml, "train", WORKBENCH_SIGNING_KEY=signing, TMPDIR="/tmp")  # Ray's sockets need a short path
    _, text = process.communicate(timeout=200)
    assert process.returncode == 0, text
    assert not (ml / "output" / "failure").exists()
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signing)).public_key().public_bytes_raw().hex()
    port = commands.free_port()
    process = start(ml, "serve", WORKBENCH_VERIFYING_KEY=public, SAGEMAKER_BIND_TO_PORT=str(port))
    try:
        assert commands.wait_until(lambda: answers(port), 60)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
