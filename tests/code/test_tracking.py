"""A tracker sees the same calls in every mode, and numbers and short texts only."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from workbench import tracking
from workbench.config import TrackerConfig
from workbench.data.store import Artifact, Store, code_version
from workbench.errors import EnvironmentFault

HEADER, BLOCK = 7, 32_768  # the format of LevelDB's logs: records in blocks, each piece after seven bytes
WHOLE, LAST = 1, 4


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without an account, whose home stays clean."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def tracker(mode: str, folder: Path) -> TrackerConfig:
    return TrackerConfig(mode=mode, project="tests", folder=str(folder / "wandb"))


def records(folder: Path) -> list[Record]:
    """What the one offline run in a folder holds, once the tracker's own process has written its end."""
    (path,) = folder.rglob("*.wandb")
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(struct.error, IndexError):  # half a record, so far
            found = list(parsed(path.read_bytes()))
            if any(one.WhichOneof("record_type") == "exit" for one in found):
                return found
        assert time.monotonic() < until, "the run has no end"
        time.sleep(0.2)


def parsed(content: bytes) -> Iterator[Record]:
    at, pieces = HEADER, b""
    while at < len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
        _, size, kind = struct.unpack_from("<IHB", content, at)
        pieces += content[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (WHOLE, LAST):
            yield Record.FromString(pieces)
            pieces = b""


def items(some: Any) -> dict[str, Any]:
    """Names and values of a record, without the tracker's own."""
    named = {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in some}
    return {name: value for name, value in named.items() if not name.startswith("_")}


def tracked(cfg: TrackerConfig, artifact: Artifact) -> None:
    with tracking.open_run(cfg, "abc123", "train", {"experiment": "smoke", "families": ["xgboost"]}) as run:
        run.log(1, {"xgboost/loss": 0.5})
        run.log(1, {"torch_mlp/loss": 0.75})
        run.log(2, {"xgboost/loss": 0.25})
        run.summary({"ensemble": {"roc_auc": 0.9, "card_precision_at_100": None}})
        run.artifact(artifact, "model")


@pytest.fixture
def artifact(store: Store) -> Artifact:
    stage = store.stage("models", "v1")
    stage.write_bytes("model.onnx", b"secret weights")
    return stage.commit({}, {})


def test_an_offline_run_is_on_disk_with_all_that_was_said(artifact: Artifact, tmp_path: Path) -> None:
    tracked(tracker("offline", tmp_path), artifact)
    kinds = {kind: [one for one in records(tmp_path) if one.WhichOneof("record_type") == kind] for kind in
             ("run", "history", "summary", "artifact", "exit")}  # fmt: skip
    run = kinds["run"][0].run
    assert (run.run_id, run.project, run.job_type) == ("train-abc123", "tests", "train")
    assert items(run.config.update) == {"experiment": "smoke", "families": ["xgboost"], "code": code_version()}
    assert [items(one.history.item) for one in kinds["history"]] == [
        {"step": 1, "xgboost/loss": 0.5}, {"step": 1, "torch_mlp/loss": 0.75}, {"step": 2, "xgboost/loss": 0.25},
    ]  # fmt: skip
    summary = {name: value for one in kinds["summary"] for name, value in items(one.summary.update).items()}
    assert summary["ensemble/roc_auc"] == 0.9
    assert [one.exit.exit_code for one in kinds["exit"]] == [0]


def test_an_artifact_is_named_by_its_place_and_digests_and_its_bytes_stay_in_the_store(
    artifact: Artifact, tmp_path: Path
) -> None:
    tracked(tracker("offline", tmp_path), artifact)
    (said,) = (one.artifact for one in records(tmp_path) if one.WhichOneof("record_type") == "artifact")
    assert (said.name, said.type) == ("model-v1", "model")
    assert json.loads(said.metadata) == {"uri": artifact.uri, "sha256": artifact.manifest["blobs"]}
    assert [one.path for one in said.manifest.contents] == ["manifest.json"]


def test_a_run_that_fails_is_marked_so_and_its_error_goes_on(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        tracking.open_run(tracker("offline", tmp_path), "abc", "train", {}),
    ):
        raise ZeroDivisionError
    assert [one.exit.exit_code for one in records(tmp_path) if one.WhichOneof("record_type") == "exit"] == [1]


def test_a_disabled_run_takes_the_same_calls_and_writes_nothing(artifact: Artifact, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    tracked(tracker("disabled", tmp_path), artifact)
    assert sorted(tmp_path.rglob("*")) == before


def test_going_online_without_an_account_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(EnvironmentFault, match=r"needs WANDB_API_KEY.*use tracker=offline"),
        tracking.open_run(tracker("wandb", tmp_path), "abc", "train", {}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


class Listening:
    """Stands where the tracker's own run stands, and keeps what it is told."""

    def __init__(self) -> None:
        self.logged: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}

    def log(self, metrics: dict[str, Any], step: int) -> None:
        self.logged.append({**metrics, "row": step})


@pytest.mark.parametrize("value", ["customer 17", [1.0, 2.0], {"a": 1.0}, None])
def test_a_metric_that_is_no_number_never_leaves(value: Any) -> None:
    listening = Listening()
    run = tracking.WandbRun(listening)
    with pytest.raises((TypeError, ValueError), match=r"float\(\)|convert"):
        run.log(1, {"loss": value})
    assert listening.logged == []
    run.log(2, {"loss": 0.5})
    assert listening.logged == [{"step": 2, "loss": 0.5, "row": 0}]


def test_nested_figures_become_one_level() -> None:
    figures = {"ensemble": {"test": {"roc_auc": 0.9}, "rows": 7}, "verdict": "promote", "judged": None}
    flat = {"ensemble/test/roc_auc": 0.9, "ensemble/rows": 7, "verdict": "promote", "judged": None}
    assert tracking.flatten(figures) == flat
    assert tracking.flatten(flat) == flat


@pytest.mark.parametrize("value", [[1, 2], (1,), {1}, b"bytes", object()])
def test_what_is_no_figure_does_not_leave(value: Any) -> None:
    assert tracking.flatten({"a": {"reasons": value, "rows": 7}}) == {"a/rows": 7}


def test_a_figure_without_content_is_nothing() -> None:
    assert tracking.flatten({"a": {}, "b": {"c": {}}}) == {}


CUT_OFF = """
import os, signal, sys
from workbench import tracking
from workbench.config import TrackerConfig
with tracking.open_run(TrackerConfig("offline", "tests", sys.argv[1]), "killed", "train", {}) as run:
    run.log(10, {"xgboost/loss": 0.5})
    run.log(20, {"xgboost/loss": 0.25})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_and_repeated_is_recorded_once_with_each_step_once(
    artifact: Artifact, tmp_path: Path
) -> None:
    cfg = tracker("offline", tmp_path)
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # of this process
    killed = subprocess.run([sys.executable, "-c", CUT_OFF, cfg.folder], check=False, env=own)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "wandb").rglob("*.wandb")
    with tracking.open_run(cfg, "killed", "train", {}) as run:
        for step in (10, 20, 30):
            run.log(step, {"xgboost/loss": 5 / step})
    history = [items(one.history.item) for one in records(tmp_path) if one.WhichOneof("record_type") == "history"]
    assert [row["step"] for row in history] == [10, 20, 30]
    assert not left.exists(), "what was killed is whole in the one that stayed"


def test_what_was_synced_already_stays(tmp_path: Path) -> None:
    cfg = tracker("offline", tmp_path)
    with tracking.open_run(cfg, "synced", "train", {}):
        pass
    (first,) = (tmp_path / "wandb").rglob("*.wandb")
    first.with_name(f"{first.name}.synced").touch()
    time.sleep(1.1)  # folders are named by the second
    with tracking.open_run(cfg, "synced", "train", {}):
        pass
    assert first.exists()
    assert len(list((tmp_path / "wandb").rglob("*.wandb"))) == 2


@pytest.mark.parametrize("root", ["s3://bucket/store", "/shared/store"])
def test_checkpoints_are_logged_by_reference_and_digest_wherever_they_lie(root: str, tmp_path: Path) -> None:
    uri = f"{root}/checkpoints/xgboost-abc/fits/test-seed0.npz"
    with tracking.open_run(tracker("offline", tmp_path), "abc", "train", {}) as run:
        run.checkpoints("xgboost-abc", {uri: "f00d"})
    (said,) = (one.artifact for one in records(tmp_path) if one.WhichOneof("record_type") == "artifact")
    assert (said.name, said.type) == ("checkpoint-xgboost-abc", "checkpoint")
    assert json.loads(said.metadata) == {"sha256": {uri: "f00d"}}
    assert [one.path for one in said.manifest.contents] == ["checkpoints.json"]
    assert json.loads(Path(said.manifest.contents[0].local_path).read_text()) == [{"uri": uri, "sha256": "f00d"}]


def test_a_run_says_its_configuration_and_the_version_of_its_code(tmp_path: Path) -> None:
    with tracking.open_run(tracker("offline", tmp_path), "abc", "train", {"train": {"workers": 2}}):
        pass
    (run,) = (one.run for one in records(tmp_path) if one.WhichOneof("record_type") == "run")
    assert items(run.config.update) == {"train": {"workers": 2}, "code": code_version()}
