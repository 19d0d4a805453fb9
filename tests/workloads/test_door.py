"""Every fault leaves through the door as one message and its exit code; what is written for machines is whole."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import ray

from tests.workloads.samples import benchmark_config
from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError, EnvironmentFault, GateRefused, InputError, StoreError, raise_all
from workbench.features import columns
from workbench.jobs import sent
from workbench.validation import check_learning
from workloads import door, ingest, pipeline, train


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateRefused("no"), 1),
        (ConfigError("no"), 2),
        (InputError("no"), 3),
        (EnvironmentFault("no"), 3),
        (StoreError("no"), 3),
        (OSError(28, "No space left on device"), 3),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 3),
        (ModuleNotFoundError("No module named 'workbench.x'", name="workbench.x"), 70),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("ours"), 70),
    ],
)
def test_a_fault_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.guarded(raising(error)) == code
    said = capsys.readouterr().err
    assert ("Traceback" in said) == (code == door.OUR_MISTAKE), "only our own mistakes show where they were made"


def test_a_file_that_is_lacking_and_not_named_is_shown_by_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert door.guarded(lambda: print(Path.cwd())) == 3
    assert "Path.cwd()" in capsys.readouterr().err
    assert door.guarded(lambda: print((tmp_path / "lacking").read_text())) == 3
    said = capsys.readouterr().err
    assert "lacking" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ray.exceptions.OutOfDiskError("Local disk is full"), "disk that Ray spills to is full"),
        (ray.exceptions.OutOfMemoryError("killed"), "ran out of memory"),
        (ray.exceptions.WorkerCrashedError(), "process of the cluster was lost"),
        (ray.exceptions.RayTaskError("read", "...", OSError(28, "No space left on device")), "No space left on device"),
    ],
)
def test_a_cluster_that_gives_out_is_one_sentence(
    error: BaseException, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.guarded(raising(error)) == 3
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_tracker_without_its_key_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(EnvironmentFault, match="WANDB_API_KEY"):
        door._run_step(lambda _: pytest.fail("it has begun"), ["tracker=wandb"])


def test_work_that_ends_well_gives_0() -> None:
    assert door.guarded(lambda: None) == 0


def test_a_request_to_terminate_ends_like_ctrl_c() -> None:
    assert door.guarded(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130


def test_all_faults_of_a_config_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["serve.port=70000", "scaling.workers=0", "data.split.kind=other"])
    for key in ("serve.port=70000", "scaling.workers=0", "data.split.kind=other"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "train.seeds=[]",
        "train.families=[xgboost,xgboost]",
        "train.torch_mlp.epochs=0",
        "evaluate.bootstrap_samples=0",
        "serve.application=../x",
        "data.label.delay_days=-1",
        "data.split.train_start=soon",
    ],
)
def test_a_value_that_no_step_can_work_with_is_refused_at_the_door(override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=re.escape(key)):
        door.composed([override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.label.delay_days=30", "would not be known yet"),
        ("data.split.exclude_known=merchant", "none of data.entities"),
    ],
)
def test_a_split_that_would_learn_from_the_future_stops_training_before_any_work(
    tmp_path: Path, override: str, words: str
) -> None:
    cfg = door.composed(["experiment=smoke", f"storage.root={tmp_path / 'store'}", override])
    for step in (train, pipeline):
        with pytest.raises(ConfigError, match=words):
            step.run(cfg)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "override",
    ["train.xgboost.max_deph=3", "serve.port=many", "tracker=nowhere", "=", "a b", "train=5", "=3", "train.seeds=["],
)
def test_words_that_hydra_refuses_are_a_config_error(override: str) -> None:
    with pytest.raises(ConfigError):
        door.composed([override])


def test_a_data_set_without_an_experiment_bears_its_own_name_and_split() -> None:
    cfg = door.composed(["data=lending_club", "features=columns", "tune=auto"])
    assert (cfg.name, cfg.serve.application, cfg.data.split.kind, cfg.replay.start) == (
        "lending_club", "lending_club", "stratified", None,
    )  # fmt: skip
    check_learning(columns.completed(cfg))
    assert door.composed([]).name == "payments"


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.split.select_start=2018-07-25"],
        ["data.split.select_start=2018-07-19"],
        ["data.split.select_start=2018-09-01"],
        ["experiment=published", "evaluate.select_starts=[2018-07-20]"],
    ],
)
def test_rows_that_select_are_never_scored_in_days_that_judge(overrides: list[str]) -> None:
    door.composed(["data.split.select_start=2018-07-18"])
    with pytest.raises(ConfigError, match="would be scored in days that judge"):
        door.composed(overrides)


def test_a_section_that_is_null_is_not_filled_in_by_an_override_but_told_where_to_write() -> None:
    for override in ("data.clock={start: '2020-01-01T00:00:00Z', step_s: 60}", "data.clock.step_s=60"):
        with pytest.raises(ConfigError, match="YAML of the data set"):
            door.composed([override])


def test_a_folder_of_the_users_own_is_searched_besides_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndefaults: [payments]\nname: mine\n")
    monkeypatch.setenv("WORKBENCH_CONF", str(tmp_path))
    assert door.composed(["experiment=mine"]).name == "mine"
    assert door.composed(["experiment=payments"]).name == "payments"
    monkeypatch.setenv("WORKBENCH_CONF", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="is no folder"):
        door.composed(["experiment=payments"])


@pytest.mark.parametrize(
    "override", ["+train.fmilies=[]", "++train.fmilies=[]", "+more=3", "~train", "hydra.run.dir=x"]
)
def test_what_would_add_or_drop_a_key_in_silence_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="not of the form KEY=VALUE"):
        door.composed([override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "train.xgbost.rounds=3",
            "train.xgbost is no key of the configuration. Use one of: autoencoder, calibration, ensemble, ",
        ),
        ("serve.stay_up=maybe", "serve.stay_up=maybe: Value 'maybe' is not a valid bool"),
        ("train.seeds=[0.5]", "train.seeds=[0.5]: Value '0.5' of type 'float' could not be converted to Integer"),
    ],
)
def test_a_wrong_key_or_type_is_told_with_what_would_be_right(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        door.composed([override])
    assert "+" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [orders\nid: order\n", "line 2"),
        ("columns: {total: {minimun: 0}}\n", "data.columns.total.minimun"),
        ("label: {delay_days: soon}\n", "data.label.delay_days"),
    ],
)
def test_a_data_set_that_is_written_wrong_is_told_with_the_place(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(door.CONF, tmp_path / "conf")
    (tmp_path / "conf" / "data" / "orders.yaml").write_text(text)
    monkeypatch.setattr(door, "CONF", tmp_path / "conf")
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        door.composed(["data=orders"])
    assert "orders" in str(caught.value)


@pytest.mark.parametrize("key", ["storage.root", "keys.folder", "serve.host"])
def test_an_empty_text_is_refused_where_it_would_mean_this_folder_or_every_address(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{re.escape(key)} is empty"):
        door.composed([f"{key}="])


def test_a_key_that_only_the_user_can_say_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"data\.event_time, data\.id"):
        door.composed(["data=file"])


def test_what_is_written_for_machines_is_the_artifact(store: Store, tmp_path: Path) -> None:
    artifact = store.stage("things", "k1").commit({}, {}, {"rows": 3})
    door.write_record(tmp_path / "out.json", door.record(artifact))
    assert json.loads((tmp_path / "out.json").read_text()) == {"id": "k1", "uri": artifact.uri, "figures": {"rows": 3}}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def refuse(batch: pa.Table) -> pa.Table:
    raise_all(InputError, "Two faults:", ["the first", "the second"])
    return batch


@pytest.mark.usefixtures("ray_session")
def test_our_error_in_a_worker_leaves_as_it_would_here(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        ray.data.range(4).map_batches(refuse, batch_format="pyarrow").take_all()

    assert door.guarded(work) == 3
    assert capsys.readouterr().err == "\nerror: Two faults:\n  - the first\n  - the second\n"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds the small store's labels, but not its events."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("ray_session")
def test_a_full_disk_is_told_and_what_was_half_written_does_not_exist(
    full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = benchmark_config(full_disk / "store")
    assert door.guarded(lambda: print(ingest.run(cfg))) == 3
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "Free space or correct storage.root" in said
    assert Store(cfg.storage.root).find("raw", ingest.key(cfg)) is None


def test_a_job_runs_with_the_config_that_was_sent_and_leaves_its_record_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = benchmark_config(tmp_path / "store", customers=5, terminals=5, days=3)
    (tmp_path / "job.json").write_text(json.dumps(sent.plain(cfg, set())))
    words = ["--resolved", str(tmp_path / "job.json")]
    monkeypatch.setattr("sys.argv", ["train", *words])
    made = Store(str(tmp_path / "store")).stage("raw", "0" * 16).commit({}, {}, {"rows": 1})
    found: list[Config] = []

    def step(config: Config) -> Artifact:
        found.append(config)
        return made

    door._run_step(step, words)
    assert (found[0].data, found[0].storage) == (cfg.data, cfg.storage)
    assert sent.record_of(capsys.readouterr().out) == {"id": "0" * 16, "uri": made.uri, "figures": {"rows": 1}}
    with pytest.raises(ConfigError, match="takes one file and nothing else"):
        door.asked([*words, "train.seeds=[1]"])
